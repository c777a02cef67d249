"""Pinned inputs become files. Their content is kept in the cache under its SHA-256, so it is fetched once per host.

An attempt gets hard links to the kept content, with no right to write. That it was not written to nevertheless is told
by its time of modification, which every kept file has in common and every write would change.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trainyard.model.request import InputFile, PinnedInput
from trainyard.model.spec import relative_path
from trainyard.model.text import Text
from trainyard.runner.errors import SetupError
from trainyard.runner.stop import Stop
from trainyard.store.objects import ObjectMissingError, Objects

_PARALLEL = 8
# Larger ones come in ranged parts at once, and are hashed from the disk afterwards.
_LARGE_BYTES = 64 << 20
# 2000-01-01: no honest write leaves this time.
_KEPT_AT = 946_684_800


class ContentCache:
    """Files by their SHA-256 under one folder, shared by all jobs of a host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def holds(self, file: InputFile) -> bool:
        """Whether the content is there, whole and as it was put."""
        try:
            status = self.path(file.sha256).stat()
        except FileNotFoundError:
            return False
        return status.st_size == file.size and status.st_mtime == _KEPT_AT

    def fetch(self, objects: Objects, file: InputFile, stop: Stop) -> None:
        """Bring the content here if it is not; SetupError if it is missing or is not what was pinned."""
        if self.holds(file):
            return
        final = self.path(file.sha256)
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=final.parent, prefix=".part-")
        os.close(handle)
        part = Path(name)
        try:
            if _download(objects, file, part, stop) != file.sha256:
                raise _changed(file)
            part.chmod(0o444)
            os.utime(part, (_KEPT_AT, _KEPT_AT))
            part.replace(final)
        except ObjectMissingError:
            raise _missing(file) from None
        finally:
            part.unlink(missing_ok=True)

    def place(self, file: InputFile, target: Path) -> None:
        """Make the content appear at `target`, whose folder exists."""
        try:
            os.link(self.path(file.sha256), target)
        except OSError as error:
            # A file system counts a file's links in a small number: thousands of equal files in one data set reach it.
            if error.errno not in (errno.EMLINK, errno.EXDEV, errno.EPERM):
                raise
            shutil.copy2(self.path(file.sha256), target)


def stage_inputs(
    objects: Objects, cache: ContentCache, inputs: Sequence[PinnedInput], folder: Path, stop: Stop
) -> dict[str, Path]:
    """Lay every input under `folder/<argument>`; returns each argument's file or folder."""
    contents = {file.sha256: file for pinned in inputs for file in pinned.files}
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="input") as pool:
        # The list raises the first error; the pool ends the others, which see the stop or finish their one file.
        list(pool.map(lambda file: cache.fetch(objects, file, stop), contents.values()))
    return {pinned.argument: _lay(cache, pinned, folder / pinned.argument, stop) for pinned in inputs}


def _lay(cache: ContentCache, pinned: PinnedInput, folder: Path, stop: Stop) -> Path:
    folder.mkdir(parents=True)
    for file in pinned.files:
        stop.check()
        target = folder / relative_path(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        cache.place(file, target)
    return folder / relative_path(pinned.files[0].path) if pinned.is_file else folder


def _download(objects: Objects, file: InputFile, part: Path, stop: Stop) -> str:
    """Write the object to `part` and return its SHA-256."""
    if file.size > _LARGE_BYTES:
        stop.check()
        if objects.size(file.key) is None:
            raise ObjectMissingError(file.key)
        objects.get_file(file.key, part)
        with part.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    digest = hashlib.sha256()
    with part.open("wb") as content:
        for piece in objects.stream(file.key):
            stop.check()
            digest.update(piece)
            content.write(piece)
    return digest.hexdigest()


def _missing(file: InputFile) -> SetupError:
    return SetupError(
        Text(
            en=f"The input file {file.path} is no longer stored; upload it again or choose another revision.",
            zh=f"输入文件 {file.path} 已不存在，请重新上传或选择其他版本。",
        )
    )


def _changed(file: InputFile) -> SetupError:
    return SetupError(
        Text(
            en=f"The input file {file.path} is not what was pinned when the run was checked; upload it again.",
            zh=f"输入文件 {file.path} 与校验时的内容不一致，请重新上传。",
        )
    )
