"""Runs side by side, and the best runs of a project."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from trainyard.evaluation.direction import direction_of
from trainyard.evaluation.gates import find_metric
from trainyard.model.evaluation import Direction
from trainyard.model.request import PinnedInput, RunRequest
from trainyard.model.run import Run
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError, Objects

_AT_ONCE = 16


class Row(BaseModel):
    """One thing in which runs can differ; the values are in the order of the runs."""

    model_config = ConfigDict(frozen=True)

    name: str
    values: list[str | None]
    differs: bool


class MetricRow(BaseModel):
    """One metric. A difference is to the first run; `better` says whether it is for the better."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    name: str
    values: list[float | None]
    differences: list[float | None]
    better: list[bool | None]


class Comparison(BaseModel):
    model_config = ConfigDict(frozen=True)

    runs: list[str]
    commits: list[str | None]
    parameters: list[Row]
    inputs: list[Row]
    environment: list[Row]
    """Framework, flavor and the script's own environment variables."""
    best: list[MetricRow]
    last: list[MetricRow]


class Place(BaseModel):
    """One line of a leaderboard."""

    model_config = ConfigDict(frozen=True)

    rank: int
    run_id: str
    metric: str
    """As that run calls it."""
    value: float
    commit: str | None
    inputs: dict[str, str]
    """Argument -> what it was trained on, with the exact revision."""


class Entrant(NamedTuple):
    """A run with the inputs that validation pinned for it."""

    run: Run
    inputs: list[PinnedInput]


def entrant(objects: Objects, run: Run) -> Entrant:
    """The run with what its stored request says about inputs; without them where it was never admitted."""
    try:
        return Entrant(run, RunRequest.model_validate_json(objects.get(layout.request_key(run.id))).inputs)
    except (ObjectMissingError, ValueError):
        return Entrant(run, [])


def entrants(objects: Objects, runs: Iterable[Run]) -> list[Entrant]:
    """`entrant` of each, in their order, many at the same time: a leaderboard looks at hundreds."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda run: entrant(objects, run), runs))


def compare(entrants: Sequence[Entrant]) -> Comparison:
    """Parameters, inputs, environment and metrics of runs; the first is the one that the others are compared with."""
    runs = [one.run for one in entrants]
    return Comparison(
        runs=[run.id for run in runs],
        commits=[run.commit for run in runs],
        parameters=_rows([_parameters(run) for run in runs]),
        inputs=_rows([{pinned.argument: _pinned(pinned) for pinned in one.inputs} for one in entrants]),
        environment=_rows([_environment(run) for run in runs]),
        best=_metric_rows([run.evaluation.best for run in runs]),
        last=_metric_rows([run.evaluation.last for run in runs]),
    )


def leaderboard(entrants: Sequence[Entrant], metric: str, data: str | None = None, limit: int = 50) -> list[Place]:
    """The runs that have the metric, the best first, the earlier of equal ones before the later.

    Args:
        data: only runs with this input, `dataset owner/name`, or `dataset owner/name@commit` for one revision of it.
    """
    found = []
    for run, inputs in entrants:
        name = find_metric(metric, list(run.evaluation.best))
        pinned = {one.argument: _pinned(one) for one in inputs}
        if name is not None and (data is None or any(_is_input(one, data) for one in pinned.values())):
            found.append((run, name, run.evaluation.best[name], pinned))
    sign = -1 if direction_of(metric) is Direction.HIGHER else 1
    found.sort(key=lambda one: (sign * one[2], one[0].created_at))
    return [
        Place(rank=rank, run_id=run.id, metric=name, value=value, commit=run.commit, inputs=pinned)
        for rank, (run, name, value, pinned) in enumerate(found[:limit], 1)
    ]


def _parameters(run: Run) -> dict[str, str]:
    return {name: str(value) for name, value in run.spec.hyperparameters.items()} if run.spec else {}


def _environment(run: Run) -> dict[str, str]:
    if run.spec is None:
        return {}
    return {"framework": run.spec.ground, "flavor": run.spec.flavor, **run.spec.env}


def _pinned(one: PinnedInput) -> str:
    return f"{one.source}@{one.revision}" if one.revision else one.source


def _is_input(pinned: str, wanted: str) -> bool:
    return pinned == wanted or pinned.startswith(f"{wanted}@")


def _rows(columns: list[dict[str, str]]) -> list[Row]:
    names = dict.fromkeys(name for column in columns for name in column)
    rows = []
    for name in names:
        values = [column.get(name) for column in columns]
        rows.append(Row(name=name, values=values, differs=len(set(values)) > 1))
    return rows


def _metric_rows(columns: list[dict[str, float]]) -> list[MetricRow]:
    names = dict.fromkeys(name for column in columns for name in column)
    return [_metric_row(name, [column.get(name) for column in columns]) for name in names]


def _metric_row(name: str, values: list[float | None]) -> MetricRow:
    first, direction = values[0], direction_of(name)
    differences = [None if first is None or value is None else value - first for value in values]
    better: list[bool | None] = [
        None if not difference or direction is Direction.UNKNOWN or math.isnan(difference)
        else (difference > 0) == (direction is Direction.HIGHER)
        for difference in differences
    ]  # fmt: skip
    return MetricRow(name=name, values=values, differences=differences, better=better)
