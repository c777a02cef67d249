"""Reading a run's log, while it grows and after the end, by offset, by line or from its end."""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from trainyard.logs.chunks import attempts_with_log, fetch, list_chunks, unpack
from trainyard.logs.index import LogIndex
from trainyard.logs.terminal import readable
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError, Objects

LARGEST_PAGE = 4 << 20
"""Bytes of uncompressed log in one page at most, whatever is asked for."""


@dataclass(frozen=True)
class LogPage:
    """A part of a log."""

    text: str
    """As a terminal would show it; see `logs.terminal.readable`."""
    offset: int
    """Of its first byte in the uncompressed log."""
    next_offset: int
    """Where the next page begins. Equal to `offset`: nothing more was printed so far."""
    end: bool
    """Nothing will ever follow."""
    lines: int | None = None
    """Number of the first line, from 1, where lines were asked for."""


def read_log(objects: Objects, run_id: str, offset: int = 0, limit: int = 65536, attempt: int | None = None) -> LogPage:
    """The bytes of the log from `offset` on, at most `limit` of them; a character is never cut in two.

    Live it is one list call and the chunks of that page; once indexed it is one ranged read. Offsets go on over all
    attempts; with `attempt` they count in that attempt alone.
    """
    offset, limit = max(offset, 0), min(max(limit, 4), LARGEST_PAGE)
    index = load_index(objects, run_id)
    if index is not None:
        base, stop = _bounds(index, attempt)
        start = min(base + offset, stop)
        data = _read_indexed(objects, run_id, index, start, min(start + limit, stop))
        data = _whole_characters(data, final=start + len(data) == stop)
        return LogPage(readable(data), start - base, start + len(data) - base, start + len(data) == stop)
    data = _read_chunks(objects, run_id, offset, limit, attempt)
    data = _whole_characters(data, final=False)
    return LogPage(readable(data), offset, offset + len(data), end=False)


def read_lines(objects: Objects, run_id: str, first_line: int, count: int) -> LogPage:
    """`count` lines from line `first_line` (from 1) on, in one ranged read; cut at 4 MiB together.

    Before the log is indexed lines are counted from its beginning.
    """
    first_line, count = max(first_line, 1), max(count, 1)
    index = load_index(objects, run_id)
    if index is None:
        data, start = _lines_of(_read_chunks(objects, run_id, 0, LARGEST_PAGE, None), first_line - 1, count)
        return LogPage(readable(data), start, start + len(data), end=False, lines=first_line)
    number = index.entry_of_line(first_line)
    entry = index.entries[number]
    behind = next((e.offset for e in index.entries[number + 1 :] if e.lines >= first_line - 1 + count), index.bytes)
    # The first line begins before the next entry: no page needs more than its own size behind that.
    following = index.entries[number + 1].offset if number + 1 < len(index.entries) else index.bytes
    behind = min(behind, following + LARGEST_PAGE)
    data = _read_indexed(objects, run_id, index, entry.offset, behind)
    data, start = _lines_of(data, first_line - 1 - entry.lines, count)
    data = data[:LARGEST_PAGE]
    offset = entry.offset + start
    return LogPage(readable(data), offset, offset + len(data), offset + len(data) >= index.bytes, lines=first_line)


def tail(objects: Objects, run_id: str, lines: int = 100) -> LogPage:
    """The last `lines` lines, at most 4 MiB of them."""
    index = load_index(objects, run_id)
    if index is not None:
        return read_lines(objects, run_id, max(index.lines - lines + 1, 1), lines)
    data, offset = b"", 0
    for attempt in attempts_with_log(objects, run_id)[-1:]:
        base = _base(objects, run_id, attempt)
        for chunk in reversed(list(list_chunks(objects, run_id, attempt))):
            data = b"".join(unpack(objects.get(chunk.key))) + data
            offset = base + chunk.offset
            if data.count(b"\n") > lines or len(data) > LARGEST_PAGE:
                break
    kept = b"".join(data.splitlines(keepends=True)[-lines:]) if b"\r" not in data else _last_lines(data, lines)
    return LogPage(readable(kept), offset + len(data) - len(kept), offset + len(data), end=False)


def read_bytes(objects: Objects, run_id: str, offset: int, limit: int, index: LogIndex | None) -> bytes:
    """The log as it was printed: at most `limit` (up to 4 MiB) bytes from `offset` on; none behind its present end.

    Before the log is indexed it may be fewer although more follow: a read never spans two attempts.

    Args:
        index: what `load_index` said of the run; None reads live.
    """
    limit = min(limit, LARGEST_PAGE)
    if index is None:
        return _read_chunks(objects, run_id, offset, limit, None)
    return _read_indexed(objects, run_id, index, offset, min(offset + limit, index.bytes))


def load_index(objects: Objects, run_id: str) -> LogIndex | None:
    """The index of a run that ended, None before."""
    try:
        return LogIndex.from_json(objects.get(layout.log_index_key(run_id)))
    except ObjectMissingError:
        return None


def _read_indexed(objects: Objects, run_id: str, index: LogIndex, start: int, end: int) -> bytes:
    if end <= start:
        return b""
    entry, stop = index.span(start, end)
    packed = objects.get_range(layout.log_key(run_id), entry.compressed, stop)
    data, position = [], entry.offset
    for piece in unpack(packed):
        if position + len(piece) > start:
            data.append(piece[max(start - position, 0) : end - position])
        position += len(piece)
        if position >= end:
            break
    return b"".join(data)


def _read_chunks(objects: Objects, run_id: str, offset: int, limit: int, attempt: int | None) -> bytes:
    """Live: at most `limit` bytes from `offset` on; of one attempt, so that a page is one list call."""
    if attempt is None:
        attempt, offset = _locate(objects, run_id, offset)
    wanted = []
    for chunk in list_chunks(objects, run_id, attempt, offset):
        if chunk.offset >= offset + limit:
            break
        wanted.append(chunk)
    data = b""
    for chunk, printed in fetch(objects, wanted, _unpacked):
        if chunk.offset > offset + len(data):
            break
        data += printed[offset + len(data) - chunk.offset :]
    return data[:limit]


def _locate(objects: Objects, run_id: str, offset: int) -> tuple[int, int]:
    """The attempt that holds `offset` of the whole log, and the offset in it."""
    attempts = attempts_with_log(objects, run_id) or [1]
    for attempt, following in pairwise([*attempts, 0]):
        length = _length(objects, run_id, attempt) if following else offset + 1
        if offset < length:
            return attempt, offset
        offset -= length
    return attempts[-1], offset


def _base(objects: Objects, run_id: str, attempt: int) -> int:
    return sum(_length(objects, run_id, one) for one in attempts_with_log(objects, run_id) if one < attempt)


def _length(objects: Objects, run_id: str, attempt: int) -> int:
    """Bytes in the log of an attempt."""
    *_, last = list_chunks(objects, run_id, attempt)
    return last.offset + len(_unpacked(objects.get(last.key)))


def _unpacked(member: bytes) -> bytes:
    pieces: list[bytes] = []
    with suppress(zlib.error):
        pieces.extend(unpack(member))
    return b"".join(pieces)


def _bounds(index: LogIndex, attempt: int | None) -> tuple[int, int]:
    """Where an attempt's log begins and ends, or the whole log."""
    if attempt is None:
        return 0, index.bytes
    starts = dict(index.attempts)
    if attempt not in starts:
        return index.bytes, index.bytes
    behind = [offset for number, offset in index.attempts if number > attempt]
    return starts[attempt], behind[0] if behind else index.bytes


def _whole_characters(data: bytes, *, final: bool) -> bytes:
    """`data` without the beginning of a UTF-8 character at its end, which the next page will show whole."""
    if final:
        return data
    for back in range(1, min(3, len(data) - 1) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return data[:-back] if length > back else data
    return data


def _lines_of(data: bytes, skip: int, count: int) -> tuple[bytes, int]:
    """`count` lines behind the first `skip` ones, and where they begin."""
    start = _behind_lines(data, 0, skip)
    return data[start : _behind_lines(data, start, count)], start


def _behind_lines(data: bytes, start: int, count: int) -> int:
    for _ in range(count):
        end = data.find(b"\n", start)
        if end < 0:
            return len(data)
        start = end + 1
    return start


def _last_lines(data: bytes, count: int) -> bytes:
    pieces = data.split(b"\n")
    return b"\n".join(pieces[-count - (1 if data.endswith(b"\n") else 0) :])
