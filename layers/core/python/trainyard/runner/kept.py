"""Folders that are made once on a host and kept for the runs after it.

`<key>/` appears by a rename when it is complete. `<key>.lock` beside it is held exclusively by whoever makes or removes
it and shared by every attempt that uses it, so that none is taken away under a running script.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from trainyard.model.text import Text
from trainyard.runner.errors import SetupError
from trainyard.runner.stop import Stop
from trainyard.runner.workspace import remove

MAX_UNUSED_SECONDS = 14 * 86400.0
_LOCK_TICK_SECONDS = 0.1
_RECORD = "trainyard.json"

Record = dict[str, Any]
Make = Callable[[Path], tuple[Path, Record]]
"""Makes the content somewhere below a folder; returns where, and what is to be remembered of it, `bytes` among it."""


@dataclass(frozen=True)
class KeptFolder:
    path: Path
    record: Record
    cached: bool
    """It was there already."""


class KeptFolders(AbstractContextManager["KeptFolders"]):
    """The kept folders of one kind. What was opened stays in use until the context ends."""

    def __init__(self, folder: Path, wait_seconds: float, is_whole: Callable[[Path], bool] = lambda _: True) -> None:
        """`wait_seconds`: how long making one may take. `is_whole`: whether one that was made can still be used."""
        self._folder, self._wait_seconds, self._is_fit = folder, wait_seconds, is_whole
        self._in_use = ExitStack()

    def open(self, key: str, stop: Stop, make: Make) -> KeptFolder:
        """The folder of that key, made if it is not there. SetupError, StopRequestedError, and those of `make`."""
        home = self._folder / key
        with ExitStack() as unless_it_fails:
            lock = unless_it_fails.enter_context((self._folder / f"{key}.lock").open("a"))
            cached = self._made(home, lock, stop, make)
            self._in_use.push(unless_it_fails.pop_all())
        record = home / _RECORD
        os.utime(record)
        return KeptFolder(home, json.loads(record.read_text()), cached)

    def _made(self, home: Path, lock: IO[str], stop: Stop, make: Make) -> bool:
        """See that it is there, and hold it. Returns whether it was there already."""
        self._take(lock, fcntl.LOCK_SH, stop)
        cached = self._is_whole(home)
        if not cached:
            self._take(lock, fcntl.LOCK_EX, stop)
            # Whoever held the lock meanwhile was most likely making the very same.
            cached = self._is_whole(home)
            if not cached:
                self._make(home, make)
            self._take(lock, fcntl.LOCK_SH, stop)
        return cached

    def evict(self, max_bytes: int, max_unused: float = MAX_UNUSED_SECONDS) -> None:
        """Remove what was not used for long, and the longest unused while all together are too large."""
        kept = sorted(self._folder.glob(f"*/{_RECORD}"), key=lambda record: record.stat().st_mtime, reverse=True)
        total = 0
        for record in kept:
            total += json.loads(record.read_text())["bytes"]
            if total > max_bytes or time.time() - record.stat().st_mtime > max_unused:
                self._remove(record.parent)

    def __exit__(self, *_: object) -> None:
        self._in_use.close()

    def _is_whole(self, home: Path) -> bool:
        return (home / _RECORD).exists() and self._is_fit(home)

    def _make(self, home: Path, make: Make) -> None:
        part = home.with_suffix(".part")
        shutil.rmtree(home, ignore_errors=True)
        try:
            made, record = make(part)
            (made / _RECORD).write_text(json.dumps(record))
            made.rename(home)
        finally:
            remove(part)

    def _remove(self, home: Path) -> None:
        with (self._folder / f"{home.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # in use
            # Gone at once for everybody else, whatever becomes of the removal.
            doomed = home.with_suffix(".gone")
            home.rename(doomed)
            remove(doomed)

    def _take(self, lock: IO[str], kind: int, stop: Stop) -> None:
        """Wait for the lock as long as making may take. SetupError after that."""
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                stop.check()
                if time.monotonic() > deadline:
                    raise SetupError(
                        Text(
                            en="Another run kept preparing the same for too long; start the run again.",
                            zh="另一个训练准备相同内容的时间过长，请重新创建训练。",
                        )
                    ) from None
                time.sleep(_LOCK_TICK_SECONDS)
            else:
                return
