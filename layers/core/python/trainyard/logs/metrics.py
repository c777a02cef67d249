"""From a log's bytes to metrics: one pass in constant memory that feeds every reader."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from trainyard.logs.readers import new_readers
from trainyard.logs.readers.contract import Form, Row
from trainyard.logs.terminal import as_lines
from trainyard.model.metric import MetricGroup, Metrics, Parameter, Point, downsample

POINTS_KEPT = 4000
"""A longer series is downsampled while it grows; memory and `metrics.json` stay small however long the log is."""
GROUPS_KEPT = 1000
SERIES_KEPT = 500
"""Of one group. A script that puts a counter into a metric's name would fill the memory otherwise."""
_LONGEST_LINE = 1 << 20
_BUCKET = 8


class MetricScanner:
    """Give it the log in pieces of any size, then ask for the metrics."""

    def __init__(self, points_kept: int | None = POINTS_KEPT) -> None:
        """`points_kept` None: every point, at the price of memory."""
        self._recorder = Recorder(points_kept)
        self._carry = b""
        readers = new_readers()
        self._forms = [(form, reader.name) for reader in readers if not reader.fallback for form in reader.forms()]
        self._fallback = [(form, reader.name) for reader in readers if reader.fallback for form in reader.forms()]

    def feed(self, data: bytes) -> None:
        """The next bytes of the log. A line longer than 1 MiB is read in pieces."""
        end = max(data.rfind(b"\n"), data.rfind(b"\r"))
        if end < 0 and len(self._carry) + len(data) < _LONGEST_LINE:
            self._carry += data
            return
        end = end if end >= 0 else len(data)
        self._scan(self._carry + data[:end])
        self._carry = data[end + 1 :]
        if len(self._carry) >= _LONGEST_LINE:
            self._scan(self._carry)
            self._carry = b""

    def finish(self) -> Metrics:
        """The metrics of all that was fed."""
        if self._carry:
            self._scan(self._carry)
            self._carry = b""
        return self._recorder.metrics()

    def _scan(self, lines: bytes) -> None:
        # Forms find the beginning of a line by the line break before it, and its end by the one after it.
        text = b"\n%b\n" % as_lines(lines)
        found = [
            (match.start(), form, source, match)
            for form, source in self._forms
            if form.literal in text
            for match in form.pattern.finditer(text)
        ]
        if len(self._forms) > 1:
            found.sort(key=itemgetter(0))
        done = 0
        for start, form, source, match in found:
            if start < done - 1:
                continue
            self._scan_rest(text, done, start)
            self._record(form, source, match)
            done = text.find(b"\n", match.end())
        self._scan_rest(text, done, len(text))

    def _scan_rest(self, text: bytes, start: int, end: int) -> None:
        """Lines between two that were understood: only for the readers that take what is left."""
        if end - start < _SHORTEST_LINE:
            return
        end = text.rfind(b"\n", start, end + 1)
        for form, source in self._fallback:
            for match in form.pattern.finditer(text, start, end):
                self._record(form, source, match)

    def _record(self, form: Form, source: str, match: object) -> None:
        try:
            row = form.read(match)  # type: ignore[arg-type]
        except ValueError:  # it looked like a number and is none
            return
        if row is not None:
            self._recorder.add(row, source)


_SHORTEST_LINE = 6


class Recorder:
    """Sorts rows into groups and series."""

    def __init__(self, points_kept: int | None = POINTS_KEPT) -> None:
        self._kept = points_kept
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
                one = series[name] = _Series(self._kept)
            one.add(Point(step, epoch, value), row.redrawn)

    def metrics(self) -> Metrics:
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
    """Points of one metric: all of them while they are few, then the extremes of ever longer stretches."""

    __slots__ = ("_kept", "_pending", "_points", "_stretch", "count", "downsampled")

    def __init__(self, kept: int | None) -> None:
        self._kept = kept
        self._points: list[Point] = []
        self._pending: list[Point] = []
        self._stretch = 1
        self.count = 0
        self.downsampled = False

    def add(self, point: Point, replaces: bool) -> None:
        target = self._pending if self.downsampled else self._points
        if replaces and target and target[-1][:2] == point[:2]:
            target[-1] = point
            return
        target.append(point)
        self.count += 1
        if self._kept is not None and (self.downsampled or self.count > self._kept):
            self._shrink(self._kept)

    def points(self) -> list[Point]:
        return self._points + self._pending

    def _shrink(self, kept: int) -> None:
        if len(self._pending) >= self._stretch * _BUCKET:
            self._points += downsample(self._pending, 5)
            self._pending = []
        if len(self._points) > kept:
            self._points = downsample(self._points, kept // 2)
            self._stretch *= 2
            self.downsampled = True


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
    from itertools import product

    scopes = [
        [(name, value) for value in values]
        for name, values in (("batch_size", batch_sizes), ("learning_rate", learning_rates), ("momentum", momentums))
        if values
    ]
    return (dict(combination) for combination in product(*scopes)) if scopes else iter(())
