"""The runs that a run is measured against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from trainyard.evaluation.direction import direction_of
from trainyard.model.evaluation import Direction
from trainyard.model.run import FacetState, Run, RunState
from trainyard.store import State

RUNS_LOOKED_AT = 500
"""Of the project's, newest first: a bound on time, not on what a project may keep."""


def references(state: State, run: Run, names: set[str]) -> dict[str, dict[str, float]]:
    """For each name of a requirement's "best of" the best values of those runs: those before `run` that succeeded and
    are called like it in the repository's file.
    """
    if not names:
        return {}
    earlier = list(comparable_runs(state, run))
    return {name: best_figures(_named(name, run, earlier)) for name in names}


def comparable_runs(state: State, run: Run) -> Iterator[Run]:
    """Evaluated runs of the same project and name that began before, newest first."""
    for other in evaluated_runs(state, run.project):
        if other.state is RunState.SUCCEEDED and other.name == run.name and _before(other, run):
            yield other


def evaluated_runs(state: State, project: str) -> Iterator[Run]:
    """The newest of a project's runs that have an evaluation, newest first."""
    cursor, seen = None, 0
    while seen < RUNS_LOOKED_AT:
        page = state.table.runs_of(project, cursor=cursor)
        for run in page.rows:
            seen += 1
            if run.evaluation.state is FacetState.DONE and run.deleted_at is None and run.evaluates is None:
                yield run
        cursor = page.cursor
        if cursor is None:
            return


def previous_run(state: State, run: Run) -> Run | None:
    """The comparable run before it on the same branch."""
    return next((other for other in comparable_runs(state, run) if other.ref == run.ref), None)


def best_run(state: State, run: Run, metric: str) -> Run | None:
    """The comparable run with the best value of the metric, the earliest of equal ones; None where none has it."""
    found = [(other.evaluation.best.get(metric, math.nan), other) for other in comparable_runs(state, run)]
    found = [one for one in reversed(found) if math.isfinite(one[0])]
    if not found:
        return None
    choose: Callable[..., tuple[float, Run]] = max if direction_of(metric) is Direction.HIGHER else min
    return choose(found, key=itemgetter(0))[1]


def best_figures(runs: Sequence[Run]) -> dict[str, float]:
    """The best value of each metric that any of the runs has and whose better direction is known."""
    best: dict[str, float] = {}
    for run in runs:
        for name, value in run.evaluation.best.items():
            choose: Callable[[float, float], float] = max if direction_of(name) is Direction.HIGHER else min
            if direction_of(name) is not Direction.UNKNOWN:
                best[name] = choose(best.get(name, value), value)
    return best


def _named(name: str, run: Run, earlier: list[Run]) -> list[Run]:
    match name:
        case "project":
            return earlier
        case "previous":
            return [other for other in earlier if other.ref == run.ref][:1]
        case branch:
            return [other for other in earlier if other.ref == f"refs/heads/{branch}"]


def _before(other: Run, run: Run) -> bool:
    return other.id != run.id and other.created_at <= run.created_at
