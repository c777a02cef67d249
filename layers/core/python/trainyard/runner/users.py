"""A user of its own for every script, where the runner is root."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALLER = 10000
"""Downloads and unpacks packages. It runs no code of theirs, so what it keeps is shared by all scripts."""
FIRST, LAST = 10001, 10999
"""Scripts. The runner's image names the first of them `script`."""


@contextmanager
def script_user(cache: Path) -> Iterator[int | None]:
    """The id of a user, and group, that no other job on this host has at the moment; None where we are not root."""
    if os.geteuid() != 0:
        yield None
        return
    folder = cache / "users"
    folder.mkdir(parents=True, exist_ok=True)
    for user in range(FIRST, LAST + 1):
        with (folder / str(user)).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield user
            return
    raise RuntimeError(f"{LAST - FIRST + 1} jobs run on this host")
