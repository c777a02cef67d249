"""Waiting for a process that may have to be stopped, and making sure that nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from trainyard.runner.stop import Stop

_TICK_SECONDS = 0.1
# How long the kernel may need to end what was killed; longer only where a disk hangs.
_REAP_SECONDS = 10.0
# The kernel numbers the first namespace of processes alike everywhere.
_PROCESSES_OF_THE_MACHINE = "pid:[4026531836]"


class Outcome(Enum):
    """Why a wait was over."""

    ENDED = auto()
    STOPPED = auto()
    TIMED_OUT = auto()
    LIMITED = auto()


def wait(
    process: subprocess.Popen[bytes], stop: Stop, seconds: float, exceeds: Callable[[], bool] = lambda: False
) -> Outcome:
    """Until the process has ended, a stop was asked for, `seconds` are over, or it `exceeds` what it may use."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            process.wait(_TICK_SECONDS)
        except subprocess.TimeoutExpired:
            if stop.requested:
                return Outcome.STOPPED
            if time.monotonic() >= deadline:
                return Outcome.TIMED_OUT
            if exceeds():
                return Outcome.LIMITED
        else:
            return Outcome.ENDED


def end_group(process: subprocess.Popen[bytes], grace: float) -> None:
    """End a process that leads its own session, and its group: SIGTERM, `grace` seconds, SIGKILL."""
    if process.poll() is None:
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait(_REAP_SECONDS)


def children() -> set[int]:
    """The process ids of this process's children; empty where the system does not tell (not Linux)."""
    return _children_of("self")


def descendants(pid: int) -> set[int]:
    """The process ids of that process, its children, and theirs."""
    found: set[int] = set()
    new = {pid}
    while new:
        found |= new
        new = {child for parent in new for child in _children_of(str(parent))} - found
    return found


def _children_of(pid: str) -> set[int]:
    found: set[int] = set()
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found.update(int(pid) for pid in listing.read_text().split())
        except OSError:
            # The thread ended while we looked; its children became another thread's.
            continue
    return found


def end_strays(before: set[int]) -> None:
    """Kill every child that is not in `before`, and the children that thereby become ours, until none is left.

    A script's process that left its group becomes our child once `adopt_orphans` was called.
    """
    deadline = time.monotonic() + _REAP_SECONDS
    while (strays := children() - before) and time.monotonic() < deadline:
        for pid in strays:
            _kill_and_reap(pid)


def end_user(user: int) -> None:
    """Kill every process of that user in this container, all at once.

    Does nothing outside of one: there, the script of a job with another cache may be the same user.
    """
    if str(Path("/proc/self/ns/pid").readlink()) == _PROCESSES_OF_THE_MACHINE:
        return
    killer = os.fork()
    if killer == 0:
        # Only as that user: -1 means everybody whom the caller may signal.
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(killer, 0)


def adopt_orphans() -> None:
    """From now on, descendants whose parent has ended become children of this process (Linux)."""
    import ctypes
    import sys

    set_child_subreaper = 36
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0)


def _kill_and_reap(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # Nobody is left in it; macOS says the latter of a group of zombies.
        return
