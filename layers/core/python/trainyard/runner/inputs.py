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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from trainyard.model.request import InputFile, PinnedInput
from trainyard.model.spec import relative_path
from trainyard.model.text import Text
from trainyard.runner.errors import SetupError
from trainyard.runner.parts import LARGE_BYTES, fetch_in_parts
from trainyard.runner.stop import Stop
from trainyard.store.download import Downloads, ObjectChangedError
from trainyard.store.objects import ObjectMissingError, Objects

_PARALLEL = 8
# 2000-01-01: no honest write leaves this time.
_KEPT_AT = 946_684_800


class ContentCache:
    """Files by their content's id under one folder, shared by all jobs of a host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, file: InputFile) -> Path:
        content = file.content_id
        return Path(f"{self._folder}/{content[:2]}/{content}")

    def holds(self, file: InputFile) -> bool:
        """Whether the content is there, whole and as it was put."""
        try:
            status = self.path(file).stat()
        except FileNotFoundError:
            return False
        return status.st_size == file.size and status.st_mtime == _KEPT_AT

    def keep(self, file: InputFile, handle: int, part: Path | str) -> None:
        """Take over `part`, which lies beside the place and is open at `handle`, as the file's content."""
        os.fchmod(handle, 0o444)
        os.utime(handle, (_KEPT_AT, _KEPT_AT))
        Path(part).replace(self.path(file))

    def place(self, file: InputFile, target: Path) -> None:
        """Make the content appear at `target`, whose folder exists."""
        try:
            os.link(self.path(file), target)
        except OSError as error:
            # A file system counts a file's links in a small number: thousands of equal files in one data set reach it.
            if error.errno not in (errno.EMLINK, errno.EXDEV, errno.EPERM):
                raise
            shutil.copy2(self.path(file), target)


class Fetch:
    """Brings what is not in the cache. A context manager: no thread of it outlives the block."""

    def __init__(self, objects: Objects, cache: ContentCache, stop: Stop) -> None:
        self._objects, self._cache, self._stop = objects, cache, stop
        self._buckets: dict[str, Downloads] = {}
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="input")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def files(self, files: Sequence[InputFile]) -> None:
        """Each file's content is in the cache afterwards.

        Raises:
            SetupError: one is missing, or is not what was pinned.
            StopRequestedError: a stop was asked for.
        """
        missing = [file for file in files if not self._cache.holds(file)]
        for folder in {self._cache.path(file).parent for file in missing}:
            folder.mkdir(parents=True, exist_ok=True)
        for bucket in {file.bucket for file in missing}:
            source = self._objects.of_bucket(bucket) if bucket else self._objects
            self._buckets[bucket] = Downloads(source, _PARALLEL)
        # The list raises the first error.
        list(self._pool.map(self._small, [file for file in missing if file.size < LARGE_BYTES]))
        for file in missing:
            if file.size >= LARGE_BYTES:
                self._large(file)

    def _small(self, file: InputFile) -> None:
        self._stop.check()
        handle, part = tempfile.mkstemp(dir=self._cache.path(file).parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as content, _told(file):
                digest = hashlib.sha256()
                for piece in self._buckets[file.bucket].stream(file.key, etag=file.etag):
                    self._stop.check()
                    digest.update(piece)
                    content.write(piece)
                _require(file, digest.hexdigest(), content.tell())
                content.flush()
                self._cache.keep(file, handle, part)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise

    def _large(self, file: InputFile) -> None:
        """A second try where the first one continued what an earlier job had left, and that was no good."""
        part = self._cache.path(file).with_suffix(".part")
        with _told(file), fetch_in_parts(self._buckets[file.bucket], file, part, self._pool, self._stop) as fetched:
            if self._cache.holds(file):  # another job was quicker
                return
            digest = fetched.sha256()
            if fetched.continued and file.sha256 not in (None, digest):
                digest = fetched.afresh().sha256()
            _require(file, digest, file.size)
            self._cache.keep(file, fetched.handle, part)


def stage_inputs(
    objects: Objects, cache: ContentCache, inputs: Sequence[PinnedInput], folder: Path, stop: Stop
) -> dict[str, Path]:
    """Lay every input under `folder/<argument>`; returns each argument's file or folder."""
    contents = {file.content_id: file for pinned in inputs for file in pinned.files}
    with Fetch(objects, cache, stop) as fetch:
        fetch.files(list(contents.values()))
    return {pinned.argument: _lay(cache, pinned, folder / pinned.argument, stop) for pinned in inputs}


def _lay(cache: ContentCache, pinned: PinnedInput, folder: Path, stop: Stop) -> Path:
    targets = [folder / relative_path(file.path) for file in pinned.files]
    for parent in {folder, *(target.parent for target in targets)}:
        parent.mkdir(parents=True, exist_ok=True)
    for file, target in zip(pinned.files, targets, strict=True):
        stop.check()
        cache.place(file, target)
    return targets[0] if pinned.is_file else folder


def _require(file: InputFile, sha256: str, size: int) -> None:
    """SetupError if that is not the pinned content. Without a pinned SHA-256, S3 has compared the entity tag."""
    if size != file.size or file.sha256 not in (None, sha256):
        raise _changed(file)


@contextmanager
def _told(file: InputFile) -> Iterator[None]:
    """What the store says about an object, as it concerns the user."""
    try:
        yield
    except ObjectMissingError:
        raise _missing(file) from None
    except ObjectChangedError:
        raise _changed(file) from None
    except PermissionError:
        # On our own bucket that is a wrong deployment, and nothing that the user could do anything about.
        if not file.bucket:
            raise
        raise _forbidden(file) from None


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


def _forbidden(file: InputFile) -> SetupError:
    where = f"s3://{file.bucket}/{file.key}"
    return SetupError(
        Text(
            en=f"S3 does not let the run read {where}: it was removed, or the operator's permission does not cover it.",
            zh=f"S3 不允许训练读取 {where}：对象已被删除，或管理员未授予读取权限。",
        )
    )
