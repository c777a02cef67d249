"""One attempt as a process of this machine: in a session and a folder of its own, ended with all it started."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local.batch.launch import CannotLaunch, JobSpec, Launch

_PR_SET_PDEATHSIG = 1
_LINUX = sys.platform == "linux"
# Loaded before any fork: between fork and exec nothing may import, allocate much or take a lock.
_PRCTL: Callable[..., int] | None = ctypes.CDLL(None).prctl if _LINUX else None


def _die_with_parent() -> None:
    """In the new process: when the thread that started it goes, so does it, even if we are killed outright."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class AttemptProcess:
    """A started attempt. Call `wait` from the thread that made it: it lives no longer than that thread."""

    def __init__(self, spec: JobSpec, launch: Launch, platform_env: dict[str, str], scratch: Path, log: Path) -> None:
        """Start it. scratch: made fresh and removed after the end. log: file for stdout and stderr.

        Raises CannotLaunch when the program can't be started.
        """
        self._job_id = spec.job_id
        self._scratch = scratch
        home = scratch / "home"
        work = scratch / "work"
        for folder in (home, work, log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        minimal = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8"}
        try:
            with log.open("ab") as out:
                self._process = subprocess.Popen(
                    launch.argv,
                    env={**minimal, **launch.env, **platform_env},
                    cwd=work,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509  one call into a library that is loaded already
                )
        except (OSError, ValueError, IndexError) as error:
            # ValueError: a NUL in an argument; IndexError: no argument at all.
            shutil.rmtree(scratch, ignore_errors=True)
            raise CannotLaunch(f"CannotStartContainerError: {error}") from error

    @property
    def session(self) -> dict[str, Any]:
        """What tells this process's session from any other, also after a restart of ours."""
        return {"id": self._process.pid, "started": _start_time(self._process.pid), "boot": _boot_id()}

    def wait(self) -> int:
        """Wait for the end and return the exit code, 128 + n after signal n; nothing that it started is left then."""
        # Not reaped yet, its number can't be given to another process while we look for what it left behind.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        end_leftovers(self._process.pid, self._job_id)
        code = self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        return code if code >= 0 else 128 - code

    def signal(self, number: int) -> None:
        """Send a signal to its process group. Silent when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def end_survivors(session: dict[str, Any], job_id: str) -> None:
    """Kill what is left of an attempt of an earlier server. Does nothing after a reboot, or when it is gone."""
    if session["boot"] != _boot_id():
        return
    leader = session["id"]
    started = _start_time(leader)
    if started is not None and started != session["started"]:
        leader = 0  # the number belongs to somebody else by now
    end_leftovers(leader, job_id)


def end_leftovers(session_id: int, job_id: str) -> None:
    """Kill every process of the session, and those that left it but carry the job's id in their environment.

    A container ends with its first process; this gives a local attempt the same end. What starts meanwhile is
    caught by looking again, a bounded number of times.
    """
    for _ in range(5):
        found = [pid for pid in _all_pids() if _belongs(pid, session_id, job_id)]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue


def _belongs(pid: int, session_id: int, job_id: str) -> bool:
    if pid == os.getpid():
        return False
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return False
    if session_id and int(fields[3]) == session_id:
        return True
    try:
        return f"AWS_BATCH_JOB_ID={job_id}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _all_pids() -> list[int]:
    """Process ids, where the system shows them in /proc; elsewhere none, and only process groups are ended."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()] if _LINUX else []  # noqa: PTH208  hot path


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the name, which may hold anything: state, parent, group, session, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _start_time(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
