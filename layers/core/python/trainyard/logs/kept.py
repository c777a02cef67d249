"""The points of one metric while a log is read: all while they are few, then the extremes of ever longer stretches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from trainyard.model.metric import Point, indexes_to_keep

# Points of a long series that are thinned, and packed, together.
_AT_ONCE = 4096
_FEWEST_KEPT = 5


class Columns(NamedTuple):
    """Points of one series."""

    steps: list[int | None]
    epochs: list[float | None]
    values: list[float]

    def thinned(self, limit: int) -> Columns:
        """At most `limit` (>= 5) of them, see `indexes_to_keep`."""
        indexes = indexes_to_keep(self.values, limit)
        return Columns(
            [self.steps[index] for index in indexes],
            [self.epochs[index] for index in indexes],
            [self.values[index] for index in indexes],
        )

    def cut(self, count: int) -> tuple[Columns, Columns]:
        """The first of them, and the others."""
        steps, epochs, values = self
        return Columns(steps[:count], epochs[:count], values[:count]), Columns(
            steps[count:], epochs[count:], values[count:]
        )

    def extend(self, steps: Sequence[int | None], epochs: Sequence[float | None], values: Sequence[float]) -> None:
        """More points behind these."""
        self.steps.extend(steps)
        self.epochs.extend(epochs)
        self.values.extend(values)


class KeptSeries:
    """Downsamples itself while it grows."""

    __slots__ = ("_dropped", "_full", "_kept", "_pending", "_points", "_sink", "_stretch", "downsampled")

    def __init__(self, kept: int | None, sink: Callable[..., None] | None = None) -> None:
        """`kept`: more points are downsampled; None: never. `sink` gets each point of a long series before that."""
        self._kept = self._full = sys.maxsize if kept is None else kept
        self._sink = sink
        self._points = Columns([], [], [])
        self._pending = Columns([], [], [])
        self._stretch = 1
        self._dropped = 0
        self.downsampled = False

    def add(self, step: int | None, epoch: float | None, value: float, redrawn: bool) -> None:
        """One point. A redrawn one takes the place of the last, if that is of the same step and epoch."""
        steps, epochs, values = self._pending
        if redrawn and values and (steps[-1], epochs[-1]) == (step, epoch):
            values[-1] = value
            return
        steps.append(step)
        epochs.append(epoch)
        values.append(value)
        if len(values) >= self._full:
            self._thin(self._taken())

    def extend(self, steps: Sequence[int | None], epochs: Sequence[float | None], values: Sequence[float]) -> None:
        """Many points."""
        self._pending.extend(steps, epochs, values)
        # How many came together makes no difference: what is kept of a log does not depend on where it was cut.
        while len(self._pending.values) >= self._full:
            self._thin(self._taken())

    @property
    def count(self) -> int:
        """How many points were measured."""
        return self._dropped + len(self._points.values) + len(self._pending.values)

    def points(self) -> list[Point]:
        """Those that are kept."""
        return [Point(*row) for columns in (self._points, self._pending) for row in zip(*columns, strict=True)]

    def flush(self) -> None:
        """The series is complete: what was not thinned yet is thinned, too."""
        if self.downsampled and self._pending.values:
            self._thin(self._taken())

    def _taken(self) -> Columns:
        """Of what waits, as much as is thinned together."""
        taken, rest = self._pending.cut(self._full)
        self._pending = rest
        return taken

    def _thin(self, points: Columns) -> None:
        if self._sink:
            self._sink(*points)
        before = len(self._points.values) + len(points.values)
        if self.downsampled:
            points = points.thinned(max(len(points.values) // self._stretch, _FEWEST_KEPT))
        self._points.extend(*points)
        while len(self._points.values) >= self._kept:
            self._points = self._points.thinned(self._kept // 2)
            self._stretch *= 2
        self._dropped += before - len(self._points.values)
        self.downsampled = True
        self._full = _AT_ONCE
