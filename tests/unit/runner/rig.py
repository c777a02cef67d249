"""Requests as validation writes them, and runs of the real runner against a bucket on a loopback server."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainyard.logs.failure import FailureFinder
from trainyard.model.request import InputFile, PinnedInput, RunRequest
from trainyard.model.result import AttemptResult
from trainyard.model.run import FailureReason
from trainyard.model.spec import RunSpec
from trainyard.runner.attempt import run_attempt
from trainyard.runner.job import Job
from trainyard.runner.stop import Stop
from trainyard.store import layout
from trainyard.store.objects import Objects

RUN_ID = "run-0123456789abcdefghjkmn"
BUCKET = "runs"
LIBRARY = Path(__file__).parents[3] / "layers" / "core" / "python"


def archive(files: dict[str, bytes]) -> bytes:
    """A .tar.gz of these files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def processes_with(mark: str) -> list[int]:
    """Processes of this machine that live and have `mark` as a word of their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if mark.encode() in words:
                found.append(int(folder.name))
    return found


@dataclass
class Rig:
    objects: Objects
    cache: Path
    endpoint: str
    scratch: Path
    outer: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    prefix: list[str] = field(default_factory=list)
    """A program that starts the runner with other rights."""

    def put_input(self, argument: str, files: dict[str, bytes], *, is_file: bool = False) -> PinnedInput:
        pinned = []
        for path, content in files.items():
            sha256 = hashlib.sha256(content).hexdigest()
            key = layout.content_key("demo/digits", sha256)
            self.objects.put(key, content)
            pinned.append(InputFile(path=path, size=len(content), sha256=sha256, key=key))
        return PinnedInput(argument=argument, source="dataset demo/digits", is_file=is_file, files=pinned)

    def request(
        self,
        script: str,
        *,
        files: dict[str, bytes] | None = None,
        inputs: list[PinnedInput] | None = None,
        run_id: str = RUN_ID,
        **spec: Any,
    ) -> RunRequest:
        """Store a run of `train/train.py` with this content, and everything it needs."""
        request = RunRequest(
            run_id=run_id,
            name="lenet5",
            project="demo/lenet5-project",
            commit="a" * 40,
            spec=RunSpec.model_validate(
                {
                    "code_dir": "train",
                    "boot_file": "train.py",
                    "framework": "python-cpu",
                    "flavor": "cpu",
                    "timeout": "5m",
                    **spec,
                }
            ),
            code_key=layout.code_key(run_id),
            inputs=inputs or [],
        )
        self.objects.put(request.code_key, archive({"train/train.py": script.encode(), **(files or {})}))
        self.objects.put(layout.request_key(run_id), request.model_dump_json().encode())
        return request

    def run(self, stop: Stop | None = None, *, attempt: int = 1, job_id: str = "job", **job: Any) -> int:
        """One attempt in this process; returns its exit code."""
        described = Job(
            run_id=RUN_ID,
            bucket=BUCKET,
            cache=self.cache,
            job_id=job_id,
            attempt=attempt,
            **({"stop_grace": 0.5} | job),
        )
        return run_attempt(self.objects, described, stop or Stop(), self.outer)

    def start(self, run_id: str = RUN_ID, **environment: str) -> subprocess.Popen[bytes]:
        """The container's entry point as a process of its own, with the environment that a job definition gives."""
        return subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "trainyard.runner"],
            cwd=self.scratch,
            env={
                **self.outer,
                "PYTHONPATH": str(LIBRARY),
                "TRAINYARD_RUN_ID": run_id,
                "TRAINYARD_BUCKET": BUCKET,
                "TRAINYARD_CACHE": str(self.cache),
                "TRAINYARD_STOP_GRACE": "1",
                "AWS_BATCH_JOB_ID": "job",
                "AWS_BATCH_JOB_ATTEMPT": "1",
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "secret-of-the-runner",
                "AWS_DEFAULT_REGION": "us-east-1",
                **environment,
            },
        )

    def result(self, attempt: int = 1, run_id: str = RUN_ID) -> AttemptResult:
        return AttemptResult.model_validate_json(self.objects.get(layout.result_key(run_id, attempt)))

    def log(self, attempt: int = 1, run_id: str = RUN_ID) -> bytes:
        """The whole log; fails where a chunk does not begin where the one before it ended."""
        log = b""
        for chunk in self.objects.find(layout.log_chunk_prefix(run_id, attempt)):
            assert layout.log_chunk_offset(chunk.key) == len(log)
            log += gzip.decompress(self.objects.get(chunk.key))
        return log

    def printed(self, attempt: int = 1, run_id: str = RUN_ID) -> str:
        """What the script itself printed."""
        lines = self.log(attempt, run_id).decode(errors="replace").splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("[trainyard] "))

    def await_printed(self, text: str, attempt: int = 1) -> None:
        """Until the script's log, as it is in the bucket, holds `text`."""
        deadline = time.monotonic() + 20
        while text not in self.printed(attempt):
            assert time.monotonic() < deadline, f"{text!r} was not printed"
            time.sleep(0.05)

    def output(self, name: str) -> bytes:
        return self.objects.get(layout.output_prefix(RUN_ID) + name)


def failure(rig: Rig, result: AttemptResult) -> FailureReason:
    """What the run's page will say: the runner's own word, or what the log tells."""
    if result.kind is not None:
        assert result.reason is not None
        return FailureReason(kind=result.kind, message=result.reason)
    finder = FailureFinder()
    finder.feed(rig.printed().encode())
    reason = finder.reason(result.exit_code, result.signal)
    assert reason is not None, rig.printed()
    return reason
