"""The attempt's own folders. They lie beside the cache, on one file system, so that inputs are linked, not copied."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

_REMOVE_SECONDS = 600.0


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
        self.view = self._folder("view")
        self.spool.touch(0o600)

    @property
    def writable(self) -> list[Path]:
        """What belongs to the script."""
        return [self.code, self.output, self.aim, self.home, self.temporary]

    def give_to(self, user: int | None) -> None:
        """Let that user, and no other, use what is in the folders now. `None`: everything stays one user's."""
        if user is None:
            return
        content = self.root.parents[1] / "content"
        if content.exists():
            # Inputs are reached through their links here, not by asking for a content's hash.
            content.chmod(0o700)
        os.chown(self.root, -1, user)
        self.root.chmod(0o710)
        for folder in self.writable:
            give(folder, user)

    @property
    def spool(self) -> Path:
        """What the log's shipper still has to send."""
        return self.root / "log"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove(self.root)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir()
        return folder


def give(folder: Path, user: int) -> None:
    """Make it and everything in it that user's. Nobody may be changing it meanwhile."""
    os.chown(folder, user, user)
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            os.chown(Path(parent, name), user, user, follow_symlinks=False)


def remove(folder: Path) -> None:
    """Remove it whatever a script left in it; what cannot be removed now goes with the host."""
    # Folders that even their owner cannot enter, and folders in folders deeper than Python's own remover goes.
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        subprocess.run([*command, "--", str(folder)], stderr=subprocess.DEVNULL, timeout=_REMOVE_SECONDS, check=False)
