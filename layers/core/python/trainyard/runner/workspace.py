"""The attempt's own folders. They lie beside the cache, on one file system, so that inputs are linked, not copied."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class Workspace:
    """A context manager: the folders exist inside it and are gone after it.

    Names are short because sockets that a script opens under its temporary folder may have 108 characters at most.
    """

    def __init__(self, cache: Path) -> None:
        parent = cache / "work"
        parent.mkdir(parents=True, exist_ok=True)
        self.root = Path(tempfile.mkdtemp(dir=parent, prefix=""))
        self.code = self._folder("code")
        self.inputs = self._folder("inputs")
        self.output = self._folder("output")
        self.aim = self._folder("aim")
        self.home = self._folder("home")
        self.temporary = self._folder("tmp")

    @property
    def spool(self) -> Path:
        """What the log's shipper still has to send."""
        return self.root / "log"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A script may leave folders that even their owner cannot enter; what cannot be removed now goes with the host.
        for folder in (path for path in self.root.rglob("*") if path.is_dir() and not path.is_symlink()):
            folder.chmod(0o700)
        shutil.rmtree(self.root, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir()
        return folder
