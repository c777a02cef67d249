"""The pieces in which a runner ships an attempt's log: one gzip member each, named by the offset of its first byte."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from trainyard.store import layout
from trainyard.store.gzip_members import reader, unfolded
from trainyard.store.objects import Objects, StoredObject

_AHEAD = 8
# How far before a place its chunk may begin. Slow scripts leave small chunks, and many of them in a mebibyte; a chunk
# that is longer than that comes from no runner of ours.
_LOOK_BACK = (64 << 10, 1 << 20)
_STEP = 64 << 10

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Chunk:
    key: str
    offset: int
    """Of its first byte in the attempt's uncompressed log."""
    size: int
    """Compressed bytes."""


def attempts_with_log(objects: Objects, run_id: str) -> list[int]:
    """The numbers of the attempts that shipped anything, in order. One list call for each attempt."""
    prefix, after, numbers = f"runs/{run_id}/attempts/", None, []
    while entry := next(iter(objects.find(prefix, start_after=after, limit=1)), None):
        number = int(entry.key.removeprefix(prefix).split("/", 1)[0])
        after = f"{layout.attempt_prefix(run_id, number)}~"
        if next(iter(objects.find(layout.log_chunk_prefix(run_id, number), limit=1)), None):
            numbers.append(number)
    return sorted(numbers)


def list_chunks(objects: Objects, run_id: str, attempt: int, offset: int = 0) -> Iterator[Chunk]:
    """The chunks of an attempt from the one that holds `offset` on. One list call, two where chunks are long.

    Whoever reads near the same place asks for the same list, see `viewers`.
    """
    prefix = layout.log_chunk_prefix(run_id, attempt)
    for back in _LOOK_BACK:
        if offset > back:
            start = (offset - back) // _STEP * _STEP
            found = _holding(objects.find(prefix, start_after=layout.log_chunk_key(run_id, attempt, start)), offset)
            first = next(found, None)
            if first is not None and first.offset <= offset:
                yield first
                yield from found
                return
    yield from _holding(objects.find(prefix), offset)


def _holding(entries: Iterable[StoredObject], offset: int) -> Iterator[Chunk]:
    """The chunks from the last one that begins at `offset` or before it; all of them if there is none."""
    before: Chunk | None = None
    for entry in entries:
        chunk = Chunk(entry.key, layout.log_chunk_offset(entry.key), entry.size)
        if chunk.offset <= offset:
            before = chunk
            continue
        if before is not None:
            yield before
            before = None
        yield chunk
    if before is not None:
        yield before


def fetch(objects: Objects, chunks: Iterable[Chunk], read: Callable[[bytes], _Read]) -> Iterator[tuple[Chunk, _Read]]:
    """The chunks with what `read` makes of their bytes, in order, a few of them ahead: a long run leaves tens of
    thousands. `read` runs in other threads: unpacking holds no other back.
    """
    waiting: deque[tuple[Chunk, Future[_Read]]] = deque()
    with ThreadPoolExecutor(_AHEAD) as pool:
        for chunk in chunks:
            waiting.append((chunk, pool.submit(lambda key: read(objects.get(key)), chunk.key)))
            if len(waiting) >= _AHEAD:
                done, data = waiting.popleft()
                yield done, data.result()
        while waiting:
            done, data = waiting.popleft()
            yield done, data.result()


def unpack(data: bytes) -> Iterator[bytes]:
    """What gzip members hold, in pieces of at most 1 MiB.

    Raises:
        zlib.error: after the pieces that could be read, if the bytes are damaged or cut off.
    """
    while data:
        member = reader()
        yield from unfolded(member, data)
        if not member.eof:
            raise zlib.error("the gzip member is cut off")
        data = member.unused_data.lstrip(b"\0")
