"""Sorts what readers found into groups and series, in memory that does not grow with the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from operator import gt
from typing import TypeVar

from trainyard.logs.kept import KeptSeries
from trainyard.logs.readers.contract import Row, Table
from trainyard.logs.series import Sink
from trainyard.model.metric import MetricGroup, Metrics, Parameter

POINTS_KEPT = 4000
"""A longer series is downsampled while it grows; memory and `metrics.json` stay small however long the log is."""
GROUPS_KEPT = 1000
SERIES_KEPT = 500
"""Of one group. A script that puts a counter into a metric's name would fill the memory otherwise."""
SERIES_IN_ALL = 20_000
LONGEST_NAME = 200
"""Characters. What is called by more is no metric."""
PARAMETERS_KEPT = 500
"""Of one group."""

_T = TypeVar("_T")


class Recorder:
    """Sorts rows into groups and series."""

    def __init__(self, points_kept: int | None = POINTS_KEPT, sink: Sink | None = None) -> None:
        """`points_kept` None: every point, at the price of memory. `sink` is given every point of the series that
        become too long, before any is dropped."""
        self._kept, self._sink = points_kept, sink
        self._groups: list[tuple[dict[str, Parameter], dict[str, KeptSeries]]] = []
        self._series: dict[str, KeptSeries] = {}
        self._begun = 0
        self._parameters: dict[str, Parameter] = {}
        self._pending: dict[str, Parameter] = {}
        self._epoch: float | None = None
        self._epoch_of: dict[str, float] = {}

    def add(self, row: Row, source: str) -> None:
        """Rows must come in the log's order. Where a source's epoch falls, the next training begins."""
        for name, parameter in (row.parameters or {}).items():
            if name in self._pending or (len(self._pending) < PARAMETERS_KEPT and len(name) <= LONGEST_NAME):
                self._pending[name] = parameter
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
                if not self._may_begin(name):
                    continue
                one = series[name] = self._new_series(name)
            one.add(step, epoch, value, row.redrawn)

    def fits(self, table: Table, source: str) -> bool:
        """Whether all rows of a table belong to the group that is open, or open the first."""
        epochs = table.epochs
        if self._pending or not epochs:
            return not self._pending
        return epochs[0] >= self._epoch_of.get(source, epochs[0]) and not any(map(gt, epochs, islice(epochs, 1, None)))

    def add_tables(self, tables: Sequence[tuple[Table, str]], order: Sequence[int]) -> None:
        """Many rows at once, of tables that all fit, with their sources. `order`: the table of each row of the log."""
        for table, source in tables:
            if table.epochs:
                self._epoch_of[source] = table.epochs[-1]
        if not order:
            return
        last = tables[order[-1]][0]
        self._epoch = last.epochs[-1]
        if not self._series:
            self._open_group()
        for name in dict.fromkeys(name for table, _ in tables for name in table.values):
            holders = [number for number, (table, _) in enumerate(tables) if name in table.values]
            if name not in self._series and self._may_begin(name):
                self._series[name] = self._new_series(name)
            if name in self._series:
                self._series[name].extend(*_rows_of(name, [table for table, _ in tables], holders, order))

    def metrics(self) -> Metrics:
        """All groups. Ends the recording: what the sink was not given yet it is given now."""
        groups = [_group(parameters, series) for parameters, series in self._groups]
        _tell_apart_by_learning_rate(groups)
        return Metrics(groups)

    def _may_begin(self, name: str) -> bool:
        """Whether there is room for one more series in the group that is open."""
        return len(self._series) < SERIES_KEPT and len(name) <= LONGEST_NAME and self._begun < SERIES_IN_ALL

    def _new_series(self, name: str) -> KeptSeries:
        kept = bool(self._groups) and self._groups[-1][1] is self._series
        self._begun += kept
        return KeptSeries(self._kept, partial(self._sink, len(self._groups) - 1, name) if self._sink and kept else None)

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


def _rows_of(
    name: str, tables: Sequence[Table], holders: Sequence[int], order: Sequence[int]
) -> tuple[Sequence[int], Sequence[int], Sequence[float]]:
    """One metric of all tables that have it: as it is where that is one, otherwise in the log's order."""
    if len(holders) == 1:
        table = tables[holders[0]]
        return table.steps, table.epochs, table.values[name]
    turns = order if len(holders) == len(tables) else [number for number in order if number in holders]
    return (
        _by_turns(turns, [table.steps for table in tables]),
        _by_turns(turns, [table.epochs for table in tables]),
        _by_turns(turns, [table.values.get(name, []) for table in tables]),
    )


def _by_turns(turns: Sequence[int], columns: Sequence[Sequence[_T]]) -> list[_T]:
    rest = [iter(column) for column in columns]
    return list(map(next, map(rest.__getitem__, turns)))


def _group(parameters: dict[str, Parameter], series: Mapping[str, KeptSeries]) -> MetricGroup:
    for one in series.values():
        one.flush()
    return MetricGroup(
        dict(parameters),
        {name: one.points() for name, one in series.items()},
        {name: one.count for name, one in series.items() if one.downsampled},
    )


def _tell_apart_by_learning_rate(groups: list[MetricGroup]) -> None:
    """A sweep that printed a constant learning rate in each group has told what it swept."""
    if len(groups) < 2:
        return
    for group in groups:
        rates = {point.value for point in group.series.get("learning_rate", [])}
        if len(rates) == 1:
            group.parameters.setdefault("learning_rate", rates.pop())
