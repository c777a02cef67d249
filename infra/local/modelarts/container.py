"""A job's container as a process: ModelArts' own folders and variables, under a folder of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

_RUN_SECONDS = 14 * 24 * 3600.0


class ObsContainer:
    """Fetches code and inputs from OBS before the script, and brings outputs and log there after it.

    `obs`: a boto3 client of it. `python`: the interpreter that stands for the image; a CPU stands for its cards.
    """

    def __init__(self, body: dict[str, Any], job_id: str, obs: Any, home: Path, python: str) -> None:
        self._algorithm, self._spec = body["algorithm"], body["spec"]
        self._id, self._obs, self._python = job_id, obs, python
        self._root = home / job_id / "home" / "ma-user" / "modelarts"
        self.log = self._root / "log" / f"modelarts-job-{job_id}-worker-0.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    def prepare(self) -> None:
        for folder in ("user-job-dir", "log", "tmp"):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        self._download(self._algorithm["code_dir"], self._code)
        for channel in self._algorithm.get("inputs", []):
            self._download(_url(channel), self._folder("inputs", channel))
        for channel in self._algorithm.get("outputs", []):
            self._folder("outputs", channel).mkdir(parents=True, exist_ok=True)

    def run(self) -> int:
        boot_file = self._code / self._algorithm["boot_file"].removeprefix(self._algorithm["code_dir"])
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._python, str(boot_file), *self._arguments()],
                cwd=self._code,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            if self._stopped.is_set():
                self.stop()
            return self._process.wait(_RUN_SECONDS)

    def stop(self) -> None:
        self._stopped.set()
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)

    def finish(self) -> None:
        for channel in self._algorithm.get("outputs", []):
            self._upload(self._folder("outputs", channel), _url(channel))
        if "log_export_path" in self._spec and self.log.exists():
            bucket, prefix = _place(self._spec["log_export_path"]["obs_url"])
            self._obs.upload_file(str(self.log), bucket, prefix + self.log.name)

    @property
    def _code(self) -> Path:
        return self._root / "user-job-dir" / self._algorithm["code_dir"].rstrip("/").rpartition("/")[2]

    def _folder(self, kind: str, channel: dict[str, Any]) -> Path:
        return self._root / kind / f"{channel['name']}_0"

    def _arguments(self) -> list[str]:
        channels = [("inputs", one) for one in self._algorithm.get("inputs", [])]
        channels += [("outputs", one) for one in self._algorithm.get("outputs", [])]
        words = [f"--{each['name']}={each['value']}" for each in self._algorithm.get("parameters", [])]
        return words + [f"--{channel['name']}={self._folder(kind, channel)}" for kind, channel in channels]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(self._python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._root / "tmp"),
            "LANG": "C.UTF-8",
            **self._algorithm.get("environments", {}),
            "MA_JOB_DIR": str(self._root / "user-job-dir"),
            "MA_LOG_DIR": str(self._root / "log"),
            "MA_NUM_HOSTS": "1",
            "MA_TASK_NAME": "worker",
            "RANK_ID": "0",
            "RANK_SIZE": "1",
            "DEVICE_ID": "0",
        }

    def _download(self, url: str, folder: Path) -> None:
        bucket, prefix = _place(url)
        folder.mkdir(parents=True, exist_ok=True)
        pages = self._obs.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for entry in (entry for page in pages for entry in page.get("Contents", [])):
            target = folder / entry["Key"].removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._obs.download_file(bucket, entry["Key"], str(target))

    def _upload(self, folder: Path, url: str) -> None:
        bucket, prefix = _place(url)
        # ModelArts marks the folder by an object of its own.
        self._obs.put_object(Bucket=bucket, Key=prefix, Body=b"")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._obs.upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())


def _url(channel: dict[str, Any]) -> str:
    return str(channel["remote"]["obs"]["obs_url"])


def _place(url: str) -> tuple[str, str]:
    bucket, _, prefix = url.removeprefix("obs://").partition("/")
    return bucket, prefix
