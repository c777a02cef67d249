"""The user's script: how it is called, what it sees, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainyard.model.request import RunRequest
from trainyard.model.spec import AIM_ARGUMENT, OUTPUT_ARGUMENT, Scalar
from trainyard.model.text import Text
from trainyard.runner import process
from trainyard.runner.errors import SetupError
from trainyard.runner.stop import Stop
from trainyard.runner.tail import Tail
from trainyard.runner.workspace import Workspace

_READ_BYTES = 1 << 16
_DRAIN_SECONDS = 30.0
TIMEOUT_GRACE_SECONDS = 30.0
# What an image sets for its accelerator; everything else of the runner's environment stays with the runner.
_PASSED_ON = ("CUDA", "NVIDIA_", "ASCEND", "LD_LIBRARY_PATH", "TZ")


@dataclass(frozen=True)
class Ended:
    """How a script ended."""

    outcome: process.Outcome
    exit_code: int
    """As a shell counts: 128 and the signal's number where a signal ended it."""
    signal: int | None
    last_lines: list[str]


def boot_file(request: RunRequest, code: Path) -> Path:
    """The boot file in the unpacked code; SetupError if the commit has none."""
    file = code / request.spec.boot_path
    if not file.is_file():
        raise SetupError(
            Text(
                en=f"{request.spec.boot_path} does not exist at {request.commit[:12]}; correct code_dir or boot_file.",
                zh=f"提交 {request.commit[:12]} 中不存在 {request.spec.boot_path}，请修改 code_dir 或 boot_file。",
            )
        )
    return file


def arguments(request: RunRequest, inputs: Mapping[str, Path], workspace: Workspace) -> list[str]:
    """What the script finds in `sys.argv[1:]`: what the run declares and nothing else."""
    words: list[str] = []
    for name, path in inputs.items():
        words += [f"--{name}", str(path)]
    for name, value in request.spec.hyperparameters.items():
        words += _argument(name, value)
    if request.spec.output:
        words += [f"--{OUTPUT_ARGUMENT}", str(workspace.output)]
    if request.spec.aim:
        words += [f"--{AIM_ARGUMENT}", str(workspace.aim)]
    return words


def environment(
    request: RunRequest, attempt: int, python: Path, workspace: Workspace, outer: Mapping[str, str]
) -> dict[str, str]:
    """All that the script sees of the environment: no credentials, nothing of the runner's own."""
    passed_on = {name: value for name, value in outer.items() if name.startswith(_PASSED_ON)}
    return {
        **passed_on,
        "LANG": "C.UTF-8",
        **request.spec.env,
        "PATH": os.pathsep.join([str(python.parent), outer.get("PATH", os.defpath)]),
        "HOME": str(workspace.home),
        "TMPDIR": str(workspace.temporary),
        "PYTHONUNBUFFERED": "1",
        "TRAINYARD_RUN_ID": request.run_id,
        "TRAINYARD_ATTEMPT": str(attempt),
    }


@dataclass
class Script:
    """A command that is ready to run."""

    command: list[str]
    folder: Path
    environment: dict[str, str]
    timeout: float
    """Seconds."""
    stop_grace: float
    """Seconds from SIGTERM to SIGKILL after a stop was asked for."""

    def run(self, stop: Stop, write: Callable[[bytes], None]) -> Ended:
        """Run it to its end, handing over what it prints as it comes. Nothing of it is left when this returns."""
        before = process.children()
        launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(os.getpid())]
        started = subprocess.Popen(
            [*launcher, *self.command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        tail = Tail()
        pump = threading.Thread(target=_pump, args=(started, write, tail), name="output", daemon=True)
        pump.start()
        try:
            outcome = process.wait(started, stop, self.timeout)
        finally:
            # An outcome other than the end: the script gets its grace. In every case its group goes with it.
            process.end_group(started, self.stop_grace if stop.requested else TIMEOUT_GRACE_SECONDS)
            process.end_strays(before)
        pump.join(_DRAIN_SECONDS)
        code = started.returncode
        return Ended(outcome, 128 - code if code < 0 else code, -code if code < 0 else None, tail.lines())


def _pump(started: subprocess.Popen[bytes], write: Callable[[bytes], None], tail: Tail) -> None:
    assert started.stdout is not None
    with started.stdout:
        while data := os.read(started.stdout.fileno(), _READ_BYTES):
            tail.add(data)
            write(data)


def _argument(name: str, value: Scalar) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}", "true" if value else "false"]
    text = str(value)
    # argparse would take such a word for an option of its own; a negative number it knows.
    if isinstance(value, str) and text.startswith("-"):
        return [f"--{name}={text}"]
    return [f"--{name}", text]
