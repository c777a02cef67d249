"""After the end: one pass over all chunks makes the log to download, its index, the metrics and the failure."""

from __future__ import annotations

import json
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from trainyard.logs.chunks import chunks_by_attempt, fetch, unpack
from trainyard.logs.failure import FailureFinder
from trainyard.logs.left import metrics_left
from trainyard.logs.metrics import MetricScanner
from trainyard.logs.series import SeriesArchive
from trainyard.model.metric import Metrics, merged
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.run import FailureReason
from trainyard.model.scopes import Scopes
from trainyard.store import layout
from trainyard.store.gzip_members import PIECE_BYTES
from trainyard.store.objects import ObjectMissingError, Objects, ObjectWriter

# Small chunks share an entry of the index, large ones are split: a page is one short read, the index stays small.
_ENTRY_BYTES = 256 << 10
_LARGEST_MEMBER = 4 << 20
_LOG = ""
_DAMAGED = "\n[%d: this part of the log was damaged in storage]\n"


_Bytes = bytes
"""The type, where a field of that name hides it."""


class Entry(NamedTuple):
    """A place at which reading can begin: the start of a gzip member."""

    compressed: int
    """Offset in log.gz."""
    offset: int
    """Offset in the uncompressed log."""
    lines: int
    """Line breaks before it."""


@dataclass
class LogIndex:
    """`log.index.json`: where what lies in `log.gz`. The offsets are in bytes."""

    bytes: int = 0
    compressed: int = 0
    lines: int = 0
    """A last line without a line break counts."""
    attempts: list[tuple[int, int]] = field(default_factory=list)
    """Number of each attempt and the offset of its first byte."""
    entries: list[Entry] = field(default_factory=list)

    def span(self, start: int, end: int) -> tuple[Entry, int]:
        """For bytes `start` up to `end` of the log: the entry to begin at, and where in `log.gz` to stop reading."""
        offsets = [entry.offset for entry in self.entries]
        first = self.entries[max(bisect_right(offsets, start) - 1, 0)]
        last = bisect_left(offsets, end)
        return first, self.entries[last].compressed if last < len(self.entries) else self.compressed

    def entry_of_line(self, line: int) -> int:
        """Number of the entry in which line `line` (from 1) begins."""
        return max(bisect_left([entry.lines for entry in self.entries], line - 1) - 1, 0)

    def to_json(self) -> _Bytes:
        document = {
            "version": 1,
            "bytes": self.bytes,
            "compressed": self.compressed,
            "lines": self.lines,
            "attempts": self.attempts,
            "entries": self.entries,
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: _Bytes) -> LogIndex:
        document = json.loads(data)
        return cls(
            document["bytes"],
            document["compressed"],
            document["lines"],
            [(number, offset) for number, offset in document["attempts"]],
            [Entry(*entry) for entry in document["entries"]],
        )


@dataclass(frozen=True)
class LogSummary:
    """What was found in a run's log."""

    lines: int
    bytes: int
    failure: FailureReason | None
    """What the log and the last attempt's result say; None where it succeeded or nothing was found."""
    last_lines: list[str]
    metrics_groups: int


def index_run(
    objects: Objects,
    run_id: str,
    last_attempt: int | None = None,
    *,
    only: str | None = None,
    scopes: Scopes | None = None,
) -> LogSummary:
    """Write `log.gz`, `log.index.json` and `metrics.json` of a run in one pass over its chunks, in constant memory.

    Works for every way in which a run can end, also for one that never printed anything, and may run again at any time.

    Args:
        last_attempt: whose result tells how the run ended. None: the last one that left a log.
        only: the output file whose metrics count alone where there is one.
        scopes: what the script swept.
    """
    with SeriesArchive(objects, run_id) as series:
        scanner, finder = MetricScanner(sink=series.sink(_LOG)), FailureFinder()
        with objects.writer(layout.log_key(run_id), content_type="application/gzip") as writer:
            archive = _Archive(writer, scanner, finder)
            for number, chunks in chunks_by_attempt(objects, run_id):
                archive.begin(number)
                for chunk, member in fetch(objects, chunks, _opened):
                    archive.add(chunk.offset, member)
            index = archive.finish()
        attempt = max((number for number, _ in index.attempts), default=0) if last_attempt is None else last_attempt
        result = _result(objects, run_id, attempt)
        files = metrics_left(objects, run_id, series, result)
        metrics = _metrics(objects, run_id, scanner.finish(), files, series, only, scopes)
    # Written last: readers take the archive only when its index is there.
    objects.put(layout.log_index_key(run_id), index.to_json(), content_type="application/json")
    return LogSummary(index.lines, index.bytes, _failure(finder, result), finder.last_lines(), len(metrics.groups))


def _metrics(
    objects: Objects,
    run_id: str,
    log: Metrics,
    files: dict[str, Metrics],
    series: SeriesArchive,
    only: str | None,
    scopes: Scopes | None,
) -> Metrics:
    """Write what the log and the files that the run left beside it measured, and where the long series lie."""
    metrics = files[only] if only in files else merged(log, files)
    metrics = scopes.named(metrics) if scopes else metrics
    if index := series.index(metrics, {_LOG: log, **files}):
        objects.put(layout.series_index_key(run_id), index, content_type="application/json")
    objects.put(layout.metrics_key(run_id), metrics.to_json(), content_type="application/json")
    return metrics


class _Archive:
    """Puts members one behind the other and notes where they are, while scanner and finder see what they hold."""

    def __init__(self, writer: ObjectWriter, scanner: MetricScanner, finder: FailureFinder) -> None:
        self._writer, self._scanner, self._finder = writer, scanner, finder
        self._index = LogIndex()
        self._attempt_start = 0
        self._carry = b""
        self._line_open = False

    def begin(self, attempt: int) -> None:
        """What follows is of that attempt; its log begins on a line of its own."""
        if self._line_open:
            self._add_pieces(iter([b"\n"]))
        self._attempt_start = self._index.bytes
        self._index.attempts.append((attempt, self._index.bytes))

    def add(self, offset: int, member: _Member) -> None:
        """A chunk that begins `offset` bytes into the attempt."""
        seen = self._index.bytes - self._attempt_start - offset
        if member.pieces is not None and seen <= 0:
            self._append(member.data, member.pieces)
        else:
            self._add_pieces(_behind(max(seen, 0), _mended(member.data, offset)))

    def finish(self) -> LogIndex:
        if not self._index.entries:
            self._append(_packed([]), [])
        self._finder.feed(self._carry)
        self._index.lines += self._line_open
        return self._index

    def _add_pieces(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self._append(_packed([piece]), [piece])

    def _append(self, member: bytes, pieces: list[bytes]) -> None:
        index = self._index
        if not index.entries or index.bytes - index.entries[-1].offset >= _ENTRY_BYTES:
            index.entries.append(Entry(index.compressed, index.bytes, index.lines))
        self._writer.write(member)
        index.compressed += len(member)
        for piece in pieces:
            index.bytes += len(piece)
            index.lines += piece.count(b"\n")
            self._line_open = not piece.endswith(b"\n")
            self._read(piece)

    def _read(self, piece: bytes) -> None:
        self._scanner.feed(piece)
        end = piece.rfind(b"\n") + 1
        if end or len(self._carry) > PIECE_BYTES:
            self._finder.feed(self._carry + piece[:end])
            self._carry = b""
        self._carry += piece[end:]


class _Member(NamedTuple):
    """A chunk as it was shipped."""

    data: bytes
    pieces: list[bytes] | None
    """What it holds; None where it is not sound, or too large to be taken over as it is."""


def _opened(data: bytes) -> _Member:
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in unpack(data):
            pieces.append(piece)
            size += len(piece)
            if size > _LARGEST_MEMBER:
                return _Member(data, None)
    except zlib.error:
        return _Member(data, None)
    return _Member(data, pieces)


def _mended(member: bytes, offset: int) -> Iterator[bytes]:
    """All that can be read of a chunk; a note stands where the rest is lost."""
    try:
        yield from unpack(member)
    except zlib.error:
        yield (_DAMAGED % offset).encode()


def _behind(skip: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces without the first `skip` bytes, which another chunk held already."""
    for piece in pieces:
        if rest := piece[skip:]:
            yield rest
        skip = max(skip - len(piece), 0)


def _packed(pieces: list[bytes]) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join([*map(packer.compress, pieces), packer.flush()])


def _result(objects: Objects, run_id: str, attempt: int) -> AttemptResult | None:
    """What the attempt left; None where it was killed before it could."""
    try:
        return AttemptResult.model_validate_json(objects.get(layout.result_key(run_id, attempt)))
    except (ObjectMissingError, ValueError):
        return None


def _failure(finder: FailureFinder, result: AttemptResult | None) -> FailureReason | None:
    if result is None:
        return finder.reason(cut_off=True)
    if result.ending is not Ending.SCRIPT_FAILED or result.kind is not None:
        return None
    return finder.reason(result.exit_code, result.signal)
