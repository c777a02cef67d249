"""Walking folders that a script may be changing at the same moment: a link is never followed, at no step."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Deeper ones are left out: each level holds a descriptor open.
MAX_DEPTH = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Entry:
    path: str
    """Relative, with slashes."""
    status: os.stat_result

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)


def walk(folder: Path) -> Iterator[Entry]:
    """All that is not a folder, in the order of the paths' parts. What vanishes meanwhile is left out."""
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from _walk(os.open(folder, _FOLDER), "", MAX_DEPTH)


def open_file(folder: Path, path: str) -> int:
    """A descriptor of the regular file at the relative `path`. OSError if it is none, or if a part of it is a link."""
    *parents, name = path.split("/")
    descriptor = os.open(folder, _FOLDER)
    try:
        for parent in parents:
            below = os.open(parent, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        # Not to wait for somebody to open the other end, should it be a pipe by now.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path} is not a regular file")
    return file


def make_accessible(folder: Path) -> None:
    """Let us read what its owner, who is us, forbade himself. Nobody may be changing it meanwhile."""
    for parent, folders, names in os.walk(folder):
        for name in folders:
            path = Path(parent, name)
            if not path.is_symlink() and not os.access(path, os.R_OK | os.X_OK):
                path.chmod(0o700)
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink() and path.is_file() and not os.access(path, os.R_OK):
                path.chmod(0o400)


def _walk(descriptor: int, prefix: str, depth: int) -> Iterator[Entry]:
    try:
        for name in sorted(os.listdir(descriptor)):
            with suppress(OSError):
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    yield Entry(prefix + name, status)
                elif depth:
                    below = os.open(name, _FOLDER, dir_fd=descriptor)
                    yield from _walk(below, f"{prefix}{name}/", depth - 1)
    finally:
        os.close(descriptor)
