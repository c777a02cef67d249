"""The script's Python with its packages: a virtual environment that is built once and kept for the runs after it.

`environments/<key>/` appears by a rename when it is complete. `<key>.lock` beside it is held exclusively by whoever
builds or removes it and shared by every attempt that uses it, so that none is taken away under a running script.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from trainyard.model.text import Text
from trainyard.runner.errors import SetupError
from trainyard.runner.installer import INSTALL_SECONDS, Installer, Say, base_folders, digests, installed
from trainyard.runner.isolation import Jail
from trainyard.runner.requirements import Requirements
from trainyard.runner.stop import Stop
from trainyard.runner.workspace import remove

MAX_KEPT_BYTES = 40 << 30
MAX_UNUSED_SECONDS = 14 * 86400.0
_LOCK_TICK_SECONDS = 0.1
_RECORD = "trainyard.json"


@dataclass(frozen=True)
class Environment:
    python: Path
    """Its interpreter."""
    packages: list[str]
    """`name==version` of all that is installed."""
    cached: bool
    """It was there already."""
    digests: dict[str, str] = field(default_factory=dict)
    """`name==version` -> what it installed, see `installer.digests`."""

    @property
    def folders(self) -> list[Path]:
        """What a script must be able to read to run it: its own, and what of the base installation it leads to."""
        return [self.python.parents[1], *base_folders(self.python)]


class Environments(AbstractContextManager["Environments"]):
    """The kept environments of a host. What was opened stays in use until the context ends."""

    def __init__(self, cache: Path, outer: Mapping[str, str], jail: Jail) -> None:
        self._installer = Installer(cache / "python", outer, jail)
        self._folder = self._installer.environments
        self._in_use = ExitStack()

    def open(
        self, requirements: Requirements, python: str, stop: Stop, say: Say, *, system_packages: bool = False
    ) -> Environment:
        """The environment for these requirements, built if it is not there.

        `python`: version, `3.11`. `system_packages`: the script also sees what the image holds.
        Raises SetupError with the installer's own last lines where it cannot be built, and StopRequestedError.
        """
        key = requirements.key(python, system_packages=system_packages, today=datetime.now(UTC).date())
        home = self._folder / key
        lock = self._in_use.enter_context((self._folder / f"{key}.lock").open("a"))
        _take(lock, fcntl.LOCK_SH, stop)
        cached = _is_whole(home)
        if not cached:
            _take(lock, fcntl.LOCK_EX, stop)
            # Whoever held the lock meanwhile was most likely building the very same.
            cached = _is_whole(home)
            if not cached:
                self._build(home, requirements, python, stop, say, system_packages=system_packages)
            _take(lock, fcntl.LOCK_SH, stop)
        record = home / _RECORD
        os.utime(record)
        known = json.loads(record.read_text())
        return Environment(home / "bin" / "python", known["packages"], cached, known.get("digests", {}))

    def evict(self, max_bytes: int = MAX_KEPT_BYTES, max_unused: float = MAX_UNUSED_SECONDS) -> None:
        """Remove what was not used for long, and the longest unused while all together are too large."""
        kept = sorted(self._folder.glob(f"*/{_RECORD}"), key=lambda record: record.stat().st_mtime, reverse=True)
        total = 0
        for record in kept:
            total += json.loads(record.read_text())["bytes"]
            if total > max_bytes or time.time() - record.stat().st_mtime > max_unused:
                self._remove(record.parent)

    def __exit__(self, *_: object) -> None:
        self._in_use.close()

    def _build(
        self, home: Path, requirements: Requirements, python: str, stop: Stop, say: Say, *, system_packages: bool
    ) -> None:
        part = home.with_suffix(".part")
        shutil.rmtree(home, ignore_errors=True)
        if requirements.lines:
            say(_installing(requirements))
        try:
            made = self._installer.install(part, requirements, python, stop, say, system_packages=system_packages)
            record = {
                "packages": installed(made),
                "digests": digests(made),
                "bytes": _size(made),
                "lines": requirements.lines,
            }
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


def _take(lock: IO[str], kind: int, stop: Stop) -> None:
    """Wait for the lock as long as one installation may take. SetupError after that."""
    deadline = time.monotonic() + INSTALL_SECONDS
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            stop.check()
            if time.monotonic() > deadline:
                raise SetupError(
                    Text(
                        en="Another run kept installing the same packages for too long; start the run again.",
                        zh="另一个训练安装相同依赖的时间过长，请重新创建训练。",
                    )
                ) from None
            time.sleep(_LOCK_TICK_SECONDS)
        else:
            return


def _is_whole(home: Path) -> bool:
    """Complete, and its interpreter is still where it was when it was built."""
    return (home / _RECORD).exists() and (home / "bin" / "python").exists()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _installing(requirements: Requirements) -> Text:
    names = ", ".join(requirements.lines[:6]) + (", ..." if len(requirements.lines) > 6 else "")
    return Text(en=f"installing {names}", zh=f"正在安装 {names}")
