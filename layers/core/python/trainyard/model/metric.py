"""Metrics: what a script measured while it trained, whatever format it printed or wrote them in.

The JSON form is `{"groups": [{"parameters": {}, "series": {"loss": [{"step", "epoch", "value"}]}}]}`. JSON has no
word for a float that is not finite: those are the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import add, indexOf
from typing import Any, NamedTuple

Parameter = str | int | float | bool


class Point(NamedTuple):
    """One value of one metric. `step` and `epoch` are None where the source does not tell them.

    `step` is as the source counts it: most count from 1 within the epoch, some over the whole run. `epoch` counts
    from 1 where the format is known to count from 0; a fraction (Hugging Face) is how many epochs were done.
    Times are in milliseconds.
    """

    step: int | None
    epoch: float | None
    value: float


@dataclass
class MetricGroup:
    """The metrics of one training. A script that sweeps its hyperparameters gives one group for each setting."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    series: dict[str, list[Point]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """How many points were measured, for each series that was downsampled; a series not named here is exact."""


@dataclass
class Metrics:
    """Every group of a run, in the order in which they were trained."""

    groups: list[MetricGroup] = field(default_factory=list)

    def names(self) -> list[str]:
        """The metrics that any group has, in the order in which they first appear."""
        return list(dict.fromkeys(name for group in self.groups for name in group.series))

    def to_dict(self) -> dict[str, Any]:
        return {"groups": [_group_to_dict(group) for group in self.groups]}

    def to_json(self) -> bytes:
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes | str) -> Metrics:
        """Inverse of `to_json`.

        Raises:
            ValueError: it is not JSON, or not of that form.
        """
        try:
            return cls([_group_from_dict(group) for group in json.loads(data)["groups"]])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not metrics: {error!r}") from error


def merged(log: Metrics, files: dict[str, Metrics]) -> Metrics:
    """What the log said and what its files say, as one.

    Of one training, files beat the log where both have a series: they are exact and complete. Where there were several,
    the groups of files stand beside those of the log and name their file.
    """
    groups = list(log.groups)
    for name, metrics in files.items():
        if len(metrics.groups) == 1 and len(groups) <= 1:
            groups = [_overlaid(groups, metrics.groups[0])]
        else:
            groups += [
                MetricGroup({**group.parameters, "file": name}, group.series, group.counts) for group in metrics.groups
            ]
    return Metrics(groups)


def _overlaid(groups: list[MetricGroup], file: MetricGroup) -> MetricGroup:
    if not groups:
        return file
    group = groups[0]
    counts = {name: count for name, count in group.counts.items() if name not in file.series}
    return MetricGroup(group.parameters, group.series | file.series, counts | file.counts)


def number_to_json(value: float) -> float | str:
    """`value` itself, or the string that stands for it in JSON when it is not finite."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def downsample(points: Sequence[Point], limit: int) -> list[Point]:
    """At most `limit` (>= 5) of the points, in order, so that a plot shows every peak and where training broke."""
    return [points[index] for index in indexes_to_keep([point.value for point in points], limit)]


def indexes_to_keep(values: Sequence[float], limit: int) -> list[int]:
    """Which of the values stay when at most `limit` (>= 5) may: the first, the last, and of every stretch the lowest,
    the highest and the first that is not a number.
    """
    if len(values) <= limit:
        return list(range(len(values)))
    last = len(values) - 1
    size = -(-(last - 1) // max(1, (limit - 2) // 3))
    kept = {0, last}
    starts = range(1, last, size)
    # The sum tells at once that all of them are numbers, as nearly always.
    if math.isnan(sum(values)):
        for start in starts:
            kept.update(_extremes_with_nan(values, start, min(start + size, last)))
    else:
        stretches = [values[start : start + size] for start in starts[:-1]] + [values[starts[-1] : last]]
        for extreme in (min, max):
            kept.update(map(add, starts, map(indexOf, stretches, map(extreme, stretches))))
    return sorted(kept)


def _extremes_with_nan(values: Sequence[float], start: int, end: int) -> Iterable[int]:
    numbers = [index for index in range(start, end) if not math.isnan(values[index])]
    missing = [index for index in range(start, end) if math.isnan(values[index])]
    if not numbers:
        return {missing[0]}
    return {min(numbers, key=values.__getitem__), max(numbers, key=values.__getitem__), *missing[:1]}


def point_to_dict(point: Point) -> dict[str, Any]:
    """A point as JSON has it."""
    return {"step": point.step, "epoch": _epoch_to_json(point.epoch), "value": number_to_json(point.value)}


def _group_to_dict(group: MetricGroup) -> dict[str, Any]:
    series = {name: [point_to_dict(point) for point in points] for name, points in group.series.items()}
    parameters = {
        name: number_to_json(value) if isinstance(value, float) else value for name, value in group.parameters.items()
    }
    return {"parameters": parameters, "series": series} | ({"counts": group.counts} if group.counts else {})


def _epoch_to_json(epoch: float | None) -> float | int | str | None:
    if epoch is None:
        return None
    return int(epoch) if math.isfinite(epoch) and epoch == int(epoch) else number_to_json(epoch)


def _group_from_dict(group: dict[str, Any]) -> MetricGroup:
    series = {
        name: [Point(p["step"], None if p["epoch"] is None else float(p["epoch"]), float(p["value"])) for p in points]
        for name, points in group["series"].items()
    }
    return MetricGroup(dict(group["parameters"]), series, dict(group.get("counts", {})))
