"""A large object comes in ranged parts at once, and goes on where an earlier attempt on this host broke off."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from trainyard.model.request import InputFile
from trainyard.runner.errors import StopRequestedError
from trainyard.runner.stop import Stop
from trainyard.store.download import Downloads

LARGE_BYTES = 32 << 20
PART_BYTES = 8 << 20
_LOOK_SECONDS = 0.2
_AHEAD = 16
# What a processor's cache holds.
_HASHED_BYTES = 256 << 10
_HERE, _NOT_HERE = b"1", b"\0"


@contextmanager
def fetch_in_parts(
    downloads: Downloads, file: InputFile, part: Path, pool: Executor, stop: Stop
) -> Iterator[PartedFetch]:
    """The fetch of `file` to `part`, held against other jobs of this host.

    What was fetched when the block is interrupted stays for the next job; otherwise what the block leaves is removed.
    """
    record = part.with_suffix(".parts")
    interrupted = False
    with _held(record, stop) as handle:
        fetch = PartedFetch(downloads, file, part, handle, pool, stop)
        try:
            yield fetch
        except (StopRequestedError, RuntimeError, OSError):
            interrupted = True
            raise
        finally:
            fetch.close()
            if not interrupted:
                part.unlink(missing_ok=True)
                record.unlink(missing_ok=True)


class PartedFetch:
    """`sha256` does the work. The record has one byte for each part, written when the part is on the disk."""

    def __init__(
        self, downloads: Downloads, file: InputFile, part: Path, record: int, pool: Executor, stop: Stop
    ) -> None:
        self._downloads, self._file = downloads, file
        self._record, self._pool, self._stop = record, pool, Stop(stop)
        self._begun: deque[Future[range]] = deque()
        # The kernel lets one thread at a time write to a file; the others would spend the processor on waiting for it.
        self._writing = threading.Lock()
        self._count = -(-file.size // PART_BYTES)
        known = os.pread(record, self._count, 0) if part.exists() else b""
        self._known = known.ljust(self._count, _NOT_HERE)
        self.handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
        self.continued = _HERE in known
        """Whether an earlier job left parts, which are believed until the whole is compared."""

    def afresh(self) -> Self:
        """Forget what is there."""
        os.ftruncate(self._record, 0)
        self._known, self.continued = _NOT_HERE * self._count, False
        return self

    def sha256(self) -> str:
        """Bring every part that is not there, and say what the whole amounts to.

        Parts are hashed in their order as they come, from the file. So few are under way at a time that the kernel has
        what is read still in memory: nobody has to hold it there, and what is compared is what the script will read.
        """
        digest = hashlib.sha256()
        os.truncate(self.handle, self._file.size)
        for number in range(self._count):
            if len(self._begun) == _AHEAD:
                self._hash(digest)
            self._begun.append(self._pool.submit(self._bring, number))
        while self._begun:
            self._hash(digest)
        return digest.hexdigest()

    def close(self) -> None:
        """Wait until no part is being written; those that have not begun do not begin."""
        self._stop.request()
        for begun in self._begun:
            begun.cancel()
        wait(self._begun)
        os.close(self.handle)

    def _hash(self, digest: hashlib._Hash) -> None:
        part = self._begun[0].result()
        for at in range(part.start, part.stop, _HASHED_BYTES):
            digest.update(os.pread(self.handle, min(_HASHED_BYTES, part.stop - at), at))
        self._begun.popleft()

    def _bring(self, number: int) -> range:
        """Which bytes of the file are there now."""
        part = range(number * PART_BYTES, min((number + 1) * PART_BYTES, self._file.size))
        if self._known[number : number + 1] == _HERE:
            return part
        self._stop.check()
        at = part.start
        for piece in self._downloads.stream(self._file.key, at, part.stop, self._file.etag):
            self._stop.check()
            with self._writing:
                os.pwrite(self.handle, piece, at)
            at += len(piece)
        os.pwrite(self._record, _HERE, number)
        return part


@contextmanager
def _held(record: Path, stop: Stop) -> Iterator[int]:
    """The record, open and locked against other jobs. One that is killed lets go with its last breath, so this ends."""
    while True:
        stop.check()
        handle = os.open(record, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if _lock(handle, record):
                yield handle
                return
        finally:
            os.close(handle)
        time.sleep(_LOOK_SECONDS)


def _lock(handle: int, record: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Whoever held it may have removed it meanwhile: a lock on a file without a name keeps nobody out.
    return _is_named(handle, record)


def _is_named(handle: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False
