"""The pieces in which a runner ships an attempt's log: one gzip member each, named by the offset of its first byte."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
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
    """The numbers of the attempts that shipped anything, in order; an only one is there before it ships.

    One list call, and one for each attempt where there are several. The run's row may have missed one.
    """
    numbers = sorted(int(name) for name in objects.folders(layout.attempts_prefix(run_id)))
    if len(numbers) < 2:
        return numbers
    return [one for one in numbers if next(iter(objects.find(layout.log_chunk_prefix(run_id, one), limit=1)), None)]


def chunks_by_attempt(objects: Objects, run_id: str) -> Iterator[tuple[int, Iterator[Chunk]]]:
    """Each attempt that shipped anything, also one that the run's row missed, with its chunks; read them in this order.

    One list call for every thousand of them all.
    """
    prefix = layout.attempts_prefix(run_id)
    chunks = (_chunk(entry) for entry in objects.find(prefix) if layout.is_log_chunk(entry.key))
    late: list[tuple[int, list[Chunk]]] = []
    for name, of_attempt in groupby(chunks, lambda chunk: chunk.key.removeprefix(prefix).split("/", 1)[0]):
        if len(name) > 1:  # S3 lists 10 before 2
            late.append((int(name), list(of_attempt)))
        else:
            yield int(name), of_attempt
    for number, kept in sorted(late, key=itemgetter(0)):
        yield number, iter(kept)


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
        chunk = _chunk(entry)
        if chunk.offset <= offset:
            before = chunk
            continue
        if before is not None:
            yield before
            before = None
        yield chunk
    if before is not None:
        yield before


def _chunk(entry: StoredObject) -> Chunk:
    return Chunk(entry.key, layout.log_chunk_offset(entry.key), entry.size)


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
