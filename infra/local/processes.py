"""Child processes of the embedded stack: started, waited for, and ended within bounds; none outlives its parent."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trainyard.model.errors import UserError
from trainyard.model.text import Text

CONNECT_SECONDS = 2.0
POLL_SECONDS = 0.01
TERMINATE_SECONDS = 15.0
_PR_SET_PDEATHSIG = 1


class ProcessFailed(UserError):
    """A process of the embedded stack did not come up."""

    code = "process_failed"


class Child:
    """One process in its own session, whose output goes to a log file and whose first JSON line says it is ready."""

    def __init__(self, name: str, argv: list[str], *, log: Path, environment: dict[str, str], cwd: Path) -> None:
        self.name = name
        self.log = log
        self._argv = argv
        self._environment = environment
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start it. Call this from the main thread: the kernel ends the child when the thread that started it ends."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._cwd,
                start_new_session=True,  # its own group, so that stopping it takes its children along
                preexec_fn=_die_with_parent(os.getpid()),  # noqa: PLW1509  no threads touch libc's locks at that point
            )

    def wait_ready(self, timeout_seconds: float) -> dict[str, Any]:
        """The first line of its output that is a JSON object; ProcessFailed with its log's end when none comes."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            ended = self._running().poll() is not None
            if (ready := _first_json_line(self.log)) is not None:
                return ready
            if ended:
                break
            time.sleep(POLL_SECONDS)
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        self.stop()
        raise ProcessFailed(
            Text(
                en=f"{self.name} did not start; see {self.log}:\n{last}",
                zh=f"{self.name} 未能启动；请查看 {self.log}：\n{last}",
            )
        )

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, timeout_seconds: float = TERMINATE_SECONDS) -> None:
        """SIGTERM, time to save its state, then SIGKILL for whatever is left of its group. Silent when it has ended."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_seconds)
        kill_group(self._process.pid)
        self._process.wait(timeout_seconds)
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process


def started_at(pid: int) -> str:
    """What tells a process from a later one with the same number; empty when there is none, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if sys.platform == "linux":
            return ""
    else:
        return "" if fields[0] == "Z" else fields[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def free_port(wished: int = 0) -> int:
    """A free port of loopback: the wished one if it is free."""
    for port in (wished, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise RuntimeError("loopback has no free port")


def answers(address: str) -> bool:
    """Whether something takes connections at an http address on loopback."""
    where = urlsplit(address)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS)
        return probe.connect_ex((where.hostname or "", where.port or 80)) == 0


def kill_group(group: int) -> None:
    """SIGKILL a process group; silent when there is none any more."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        return


def _first_json_line(log: Path) -> dict[str, Any] | None:
    with log.open(errors="replace") as lines:
        for line in lines:
            if line.startswith("{") and line.endswith("\n"):
                try:
                    return dict(json.loads(line))
                except ValueError:
                    continue
    return None


def _die_with_parent(parent: int) -> Any:
    """A hook that makes Linux send SIGTERM to the child when its parent dies, however it dies."""
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):  # no Linux: an orderly stop still ends the child
        return None

    def hook() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return hook
