"""Sorts what readers found into groups and series, in memory that does not grow with the log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, product
from operator import gt
from typing import NamedTuple

from trainyard.logs.readers.contract import Row, Table
from trainyard.logs.series import Sink
from trainyard.model.metric import MetricGroup, Metrics, Parameter, Point, indexes_to_keep

POINTS_KEPT = 4000
"""A longer series is downsampled while it grows; memory and `metrics.json` stay small however long the log is."""
GROUPS_KEPT = 1000
SERIES_KEPT = 500
"""Of one group. A script that puts a counter into a metric's name would fill the memory otherwise."""
# Points of a long series that are thinned, and packed, together.
_AT_ONCE = 4096
_FEWEST_KEPT = 5


class Recorder:
    """Sorts rows into groups and series."""

    def __init__(self, points_kept: int | None = POINTS_KEPT, sink: Sink | None = None) -> None:
        """`sink` is given every point of the series that become too long, before any is dropped."""
        self._kept, self._sink = points_kept, sink
        self._groups: list[tuple[dict[str, Parameter], dict[str, _Series]]] = []
        self._series: dict[str, _Series] = {}
        self._parameters: dict[str, Parameter] = {}
        self._pending: dict[str, Parameter] = {}
        self._epoch: float | None = None
        self._epoch_of: dict[str, float] = {}

    def add(self, row: Row, source: str) -> None:
        """Rows must come in the log's order. Where a source's epoch falls, the next training begins."""
        if row.parameters:
            self._pending.update(row.parameters)
        epoch = row.epoch
        if epoch is None:
            epoch = self._epoch
        elif self._pending or epoch != self._epoch_of.get(source):
            self._enter(epoch, source)
        if not row.values:
            return
        if not self._series or self._pending:
            self._open_group()
        series, step = self._series, row.step
        for name, value in row.values.items():
            one = series.get(name)
            if one is None:
                if len(series) >= SERIES_KEPT:
                    continue
                one = series[name] = self._new_series(name)
            one.add(step, epoch, value, row.redrawn)

    def fits(self, table: Table, source: str) -> bool:
        """Whether all rows of a table belong to the group that is open, or open the first."""
        epochs = table.epochs
        if self._pending or not epochs:
            return not self._pending
        return epochs[0] >= self._epoch_of.get(source, epochs[0]) and not any(map(gt, epochs, islice(epochs, 1, None)))

    def add_table(self, table: Table, source: str) -> None:
        """Many rows at once. The table must fit."""
        if not table.epochs:
            return
        self._epoch_of[source] = self._epoch = table.epochs[-1]
        if not self._series:
            self._open_group()
        for name, values in table.values.items():
            if name not in self._series and len(self._series) < SERIES_KEPT:
                self._series[name] = self._new_series(name)
            if name in self._series:
                self._series[name].extend(table.steps, table.epochs, values)

    def metrics(self) -> Metrics:
        """All groups. Ends the recording: what the sink was not given yet it is given now."""
        for _, series in self._groups:
            for one in series.values():
                one.flush()
        groups = [
            MetricGroup(
                dict(parameters),
                {name: one.points() for name, one in series.items()},
                {name: one.count for name, one in series.items() if one.downsampled},
            )
            for parameters, series in self._groups
        ]
        _tell_apart_by_learning_rate(groups)
        return Metrics(groups)

    def _new_series(self, name: str) -> _Series:
        kept = bool(self._groups) and self._groups[-1][1] is self._series
        return _Series(self._kept, partial(self._sink, len(self._groups) - 1, name) if self._sink and kept else None)

    def _enter(self, epoch: float, source: str) -> None:
        """A new epoch of `source`; where it falls, or stays the same with other parameters, a training ended."""
        last = self._epoch_of.get(source, epoch)
        changed = any(self._parameters.get(name, value) != value for name, value in self._pending.items())
        if epoch < last or (changed and epoch == last):
            self._series = {}
            self._epoch_of = {}
        self._epoch_of[source] = self._epoch = epoch

    def _open_group(self) -> None:
        """Hyperparameters that the log stated go to the group that begins; inside of a group they complete it."""
        if not self._series:
            self._parameters = {}
            if len(self._groups) < GROUPS_KEPT:
                self._groups.append((self._parameters, self._series))
        self._parameters.update(self._pending)
        self._pending = {}


class _Series:
    """Points of one metric, in columns: all of them while they are few, then the extremes of ever longer stretches."""

    __slots__ = ("_dropped", "_full", "_kept", "_pending", "_points", "_sink", "_stretch", "downsampled")

    def __init__(self, kept: int | None, sink: Callable[..., None] | None = None) -> None:
        self._sink = sink
        self._kept = sys.maxsize if kept is None else kept
        self._points = _Columns([], [], [])
        self._pending = _Columns([], [], [])
        self._full = self._kept
        self._stretch = 1
        self._dropped = 0
        self.downsampled = False

    def add(self, step: int | None, epoch: float | None, value: float, redrawn: bool) -> None:
        target = self._pending if self.downsampled else self._points
        if redrawn and target.values and (target.steps[-1], target.epochs[-1]) == (step, epoch):
            target.values[-1] = value
            return
        target.steps.append(step)
        target.epochs.append(epoch)
        target.values.append(value)
        if len(target.values) >= self._full:
            self._shrink()

    def extend(self, steps: Sequence[int | None], epochs: Sequence[float | None], values: Sequence[float]) -> None:
        target = self._pending if self.downsampled else self._points
        target.steps.extend(steps)
        target.epochs.extend(epochs)
        target.values.extend(values)
        if len(target.values) >= self._full:
            self._shrink()

    @property
    def count(self) -> int:
        """How many points were measured."""
        return self._dropped + len(self._points.values) + len(self._pending.values)

    def points(self) -> list[Point]:
        return [Point(*row) for columns in (self._points, self._pending) for row in zip(*columns, strict=True)]

    def flush(self) -> None:
        """The series is complete: what was not thinned yet is thinned, too."""
        if self.downsampled:
            self._thin_pending()

    def _shrink(self) -> None:
        if self.downsampled:
            self._thin_pending()
        elif self._sink:
            self._sink(*self._points)
        before = len(self._points.values)
        while len(self._points.values) >= self._kept:
            self._points = self._points.thinned(self._kept // 2)
            self._stretch *= 2
        self._dropped += before - len(self._points.values)
        self.downsampled = True
        self._full = _AT_ONCE

    def _thin_pending(self) -> None:
        pending, self._pending = self._pending, _Columns([], [], [])
        if self._sink and pending.values:
            self._sink(*pending)
        kept = pending.thinned(max(len(pending.values) // self._stretch, _FEWEST_KEPT))
        self._points.steps.extend(kept.steps)
        self._points.epochs.extend(kept.epochs)
        self._points.values.extend(kept.values)
        self._dropped += len(pending.values) - len(kept.values)


class _Columns(NamedTuple):
    steps: list[int | None]
    epochs: list[float | None]
    values: list[float]

    def thinned(self, limit: int) -> _Columns:
        indexes = indexes_to_keep(self.values, limit)
        return _Columns(
            [self.steps[index] for index in indexes],
            [self.epochs[index] for index in indexes],
            [self.values[index] for index in indexes],
        )


def _tell_apart_by_learning_rate(groups: list[MetricGroup]) -> None:
    """A sweep that printed a constant learning rate in each group has told what it swept."""
    if len(groups) < 2:
        return
    for group in groups:
        rates = {point.value for point in group.series.get("learning_rate", [])}
        if len(rates) == 1:
            group.parameters.setdefault("learning_rate", rates.pop())


def assign_parameters(
    metrics: Metrics, batch_sizes: list[int], learning_rates: list[float], momentums: list[float]
) -> Metrics:
    """Give the groups of a sweep their parameters in the tutorial's nested order: batch size, learning rate, momentum.

    A scope that is empty is left out; what the log itself stated stays. Groups beyond the last combination get nothing.
    """
    for group, combination in zip(metrics.groups, _combinations(batch_sizes, learning_rates, momentums), strict=False):
        group.parameters = combination | group.parameters
    return metrics


def _combinations(
    batch_sizes: list[int], learning_rates: list[float], momentums: list[float]
) -> Iterator[dict[str, Parameter]]:
    scopes = [
        [(name, value) for value in values]
        for name, values in (("batch_size", batch_sizes), ("learning_rate", learning_rates), ("momentum", momentums))
        if values
    ]
    return (dict(combination) for combination in product(*scopes)) if scopes else iter(())
