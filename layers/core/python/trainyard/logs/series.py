"""Every point of the series that are too long to be kept whole in `metrics.json`, packed in columns.

`series.bin` is a sequence of blocks, each compressed by itself; `series.index.json` says where those of a series lie,
so that any stretch of it is a few short reads.
"""

from __future__ import annotations

import json
import math
import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, NamedTuple, Self

from trainyard.model.metric import Metrics, Point
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError, Objects

_NO_STEP = -(1 << 63)
_AT_ONCE = 8
_BYTES_PER_POINT = 24

Sink = Callable[[int, str, Sequence[int | None], Sequence[float | None], Sequence[float]], None]
"""Takes the next points of a series: number of its group, its name, steps, epochs, values."""


_Key = tuple[str, int, str]
"""Of a series: its source, the number of its group there, its name."""


class Block(NamedTuple):
    """Some points of one series that follow each other."""

    offset: int
    """In `series.bin`."""
    size: int
    first: int
    """Number of the first point, from 0."""
    points: int


class SeriesArchive(AbstractContextManager["SeriesArchive"]):
    """Writes `series.bin` while a log is read. Nothing appears where every series was short, or if the block raises."""

    def __init__(self, objects: Objects, run_id: str) -> None:
        self._writer = objects.writer(layout.series_key(run_id))
        # Packing holds nothing else back, so it goes on beside the reading of the log.
        self._pool = ThreadPoolExecutor(1)
        self._packing: deque[tuple[_Key, int, Future[bytes]]] = deque()
        self._offset = 0
        self._blocks: dict[_Key, list[Block]] = {}

    def sink(self, source: str) -> Sink:
        """For the series of one source: the log, or one of the files that the run left."""

        def take(
            group: int,
            name: str,
            steps: Sequence[int | None],
            epochs: Sequence[float | None],
            values: Sequence[float],
        ) -> None:
            data = _columns(steps, epochs, values)
            self._packing.append(((source, group, name), len(values), self._pool.submit(zlib.compress, data, 1)))
            if len(self._packing) > _AT_ONCE:
                self._add(*self._packing.popleft())

        return take

    def index(self, metrics: Metrics, sources: dict[str, Metrics]) -> bytes | None:
        """`series.index.json` for what the sources came to together; None where no series was long.

        Sources are merged without copying their lists of points, so the list tells which source a series is of.
        """
        while self._packing:
            self._add(*self._packing.popleft())
        origins = {
            id(points): (source, number, name)
            for source, one in sources.items()
            for number, group in enumerate(one.groups)
            for name, points in group.series.items()
        }
        groups = [
            {
                name: self._blocks[origins[id(points)]]
                for name, points in group.series.items()
                if origins.get(id(points)) in self._blocks
            }
            for group in metrics.groups
        ]
        return json.dumps({"version": 1, "groups": groups}, separators=(",", ":")).encode() if any(groups) else None

    def _add(self, series: _Key, count: int, packing: Future[bytes]) -> None:
        data = packing.result()
        blocks = self._blocks.setdefault(series, [])
        first = blocks[-1].first + blocks[-1].points if blocks else 0
        blocks.append(Block(self._offset, len(data), first, count))
        self._writer.write(data)
        self._offset += len(data)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._blocks or kind is not None:
            self._writer.__exit__(kind, error, trace)


def read_points(objects: Objects, run_id: str, group: int, name: str, start: int, count: int) -> list[Point] | None:
    """Points `start` up to `start + count` of a long series, every one as it was measured.

    None where the series is not in the archive: then `metrics.json` has it whole, or there is none.
    """
    try:
        groups = json.loads(objects.get(layout.series_index_key(run_id)))["groups"]
    except ObjectMissingError:
        return None
    blocks = [Block(*block) for block in groups[group].get(name, [])] if group < len(groups) else []
    if not blocks:
        return None
    wanted = [block for block in blocks if block.first < start + count and start < block.first + block.points]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read = pool.map(lambda block: _read(objects, layout.series_key(run_id), block), wanted)
        points = [point for block in read for point in block]
    skip = max(start - wanted[0].first, 0) if wanted else 0
    return points[skip : skip + count]


def _read(objects: Objects, key: str, block: Block) -> list[Point]:
    return list(_unpacked(objects.get_range(key, block.offset, block.offset + block.size)))


def _columns(steps: Sequence[int | None], epochs: Sequence[float | None], values: Sequence[float]) -> bytes:
    columns = (_column("q", steps, _NO_STEP), _column("d", epochs, math.nan), array("d", values))
    return b"".join(column.tobytes() for column in columns)


def _column(kind: Any, numbers: Sequence[Any], absent: float) -> array[Any]:
    try:
        return array(kind, numbers)
    except (TypeError, OverflowError):  # one is not there, or more than a script can have counted
        fitting = (absent if number is None or abs(number) >= 1 << 62 else number for number in numbers)
        return array(kind, fitting)


def _unpacked(data: bytes) -> Iterator[Point]:
    packed = zlib.decompress(data)
    third = len(packed) // 3
    assert third % 8 == 0, f"{len(packed)} bytes are no whole points of {_BYTES_PER_POINT}"
    columns: tuple[array[Any], ...] = (array("q"), array("d"), array("d"))
    for number, column in enumerate(columns):
        column.frombytes(packed[number * third : (number + 1) * third])
    for step, epoch, value in zip(*columns, strict=True):
        yield Point(None if step == _NO_STEP else int(step), None if math.isnan(epoch) else epoch, value)
