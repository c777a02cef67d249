"""Memory and disk that a script may use, watched from outside while it runs."""

from __future__ import annotations

import os
import time
from enum import StrEnum
from pathlib import Path

from trainyard.runner import process
from trainyard.runner.tree import walk

# What is left for the runner, and for other jobs of the host.
DISK_RESERVE_BYTES = 1 << 30
MEMORY_RESERVE_BYTES = 256 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY_SECONDS = 0.5
# Looking through a large workspace may take this part of the time at most.
_WALK_SHARE = 0.05


class Limit(StrEnum):
    """Which one was reached, in the words of `FailureReason.kind`."""

    MEMORY = "out_of_memory"
    DISK = "no_space"


def disk_limit(folder: Path, wished: int | None) -> int:
    """Bytes: what was wished, or what the disk has free but for a reserve."""
    disk = os.statvfs(folder)
    free = max(disk.f_bavail * disk.f_frsize - DISK_RESERVE_BYTES, 0)
    return free if wished is None else min(wished, free)


def memory_limit(wished: int | None) -> int:
    """Bytes: what was wished, or what the machine and this container have."""
    machine = os.sysconf("SC_PHYS_PAGES") * _PAGE
    known = [limit for limit in (wished, _container_memory()) if limit]
    return max(min([machine, *known]) - MEMORY_RESERVE_BYTES, MEMORY_RESERVE_BYTES)


class Watch:
    """Asked again and again whether the script uses more than it may; looks only as often as that is cheap."""

    def __init__(self, before: set[int], folders: list[Path], disk_bytes: int, memory_bytes: int) -> None:
        """`before`: the runner's children that are not the script's. `folders`: what the script may write to."""
        self._before, self._folders = before, folders
        self._disk_bytes, self._memory_bytes = disk_bytes, memory_bytes
        self._memory_at = self._disk_at = 0.0
        self._kills = _kills_for_memory()

    def kernel_ended_some(self) -> bool:
        """Whether the kernel has ended a process since then because the container's memory was used up.

        A script that takes memory faster than it is looked at meets that limit first, often with one of many processes.
        """
        return _kills_for_memory() > self._kills

    def reached(self) -> Limit | None:
        now = time.monotonic()
        if now >= self._memory_at:
            self._memory_at = now + _EVERY_SECONDS
            if self._uses_too_much_memory():
                return Limit.MEMORY
        if now >= self._disk_at:
            full = self._uses_too_much_disk()
            took = time.monotonic() - now
            self._disk_at = now + max(_EVERY_SECONDS, took / _WALK_SHARE)
            if full:
                return Limit.DISK
        return None

    def _uses_too_much_disk(self) -> bool:
        disk = os.statvfs(self._folders[0])
        # What was deleted while it is still open is in no folder, but fills the disk all the same.
        if disk.f_bavail * disk.f_frsize < DISK_RESERVE_BYTES // 2:
            return True
        used = sum(entry.status.st_blocks * 512 for folder in self._folders for entry in walk(folder))
        return used > self._disk_bytes

    def _uses_too_much_memory(self) -> bool:
        # Also those whose parent has ended, which are ours then.
        script = set[int]().union(*(process.descendants(pid) for pid in process.children() - self._before))
        if sum(_resident(pid) for pid in script) <= self._memory_bytes:
            return False
        # Pages that its processes share were counted for each; the exact figure is dear, so it comes second.
        return sum(_proportional(pid) for pid in script) > self._memory_bytes


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _container_memory() -> int | None:
    """What the container's own control group allows, in either version of the interface."""
    for file in _of_own_group("memory.max", "memory.limit_in_bytes"):
        try:
            return int(file.read_text())
        except (OSError, ValueError):  # ValueError: `max`
            continue
    return None


def _kills_for_memory() -> int:
    """How many processes of this container the kernel has ended for its memory; 0 where the kernel does not say."""
    for file in _of_own_group("memory.events", "memory.oom_control"):
        try:
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts["oom_kill"])
        except (OSError, ValueError, KeyError):
            continue
    return 0


def _of_own_group(file: str, older_file: str) -> list[Path]:
    """Where the file of our control group may lie: a container often sees its own group as the root of all."""
    places = []
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        groups = []
    for _, controllers, path in groups:
        if not controllers:
            places.append(Path("/sys/fs/cgroup" + path, file))
        elif "memory" in controllers.split(","):
            places.append(Path("/sys/fs/cgroup/memory" + path, older_file))
    return [*places, Path("/sys/fs/cgroup", file), Path("/sys/fs/cgroup/memory", older_file)]
