"""What a project's runs took and cost so far, as its rows tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from trainyard.model import money
from trainyard.model.budget import Budget
from trainyard.model.catalogue import load_catalogue
from trainyard.model.money import Estimate
from trainyard.model.run import Run, RunState
from trainyard.model.settings import settings
from trainyard.model.spec import RunSpec
from trainyard.model.text import Text
from trainyard.store.table import Table, deleted_project

# Runs that are looked at for the median, and the most that are added up for a month.
_PAST_RUNS = 100
_PAGE = 200
_MOST_PAGES = 100


def estimate_of(table: Table, project: str, name: str, spec: RunSpec, *, evaluates: bool = False) -> Estimate | None:
    """What a run would cost here; None where the flavor is not known or has no price in this region.

    `evaluates`: it is a script that judges a run, and only such ones tell how long it takes.
    """
    flavor = load_catalogue().flavor(spec.flavor)
    if flavor is None:
        return None
    past = [
        run.cost.seconds / run.spec.machine_count * spec.machine_count
        for run in table.runs_of(project, _PAST_RUNS).rows
        if run.name == name
        and (run.evaluates is not None) == evaluates
        and run.state is RunState.SUCCEEDED
        and run.cost is not None
        and run.spec is not None
        and run.spec.flavor == spec.flavor
    ]
    return money.estimate(spec, flavor, settings().region, past)


def spent_this_month(table: Table, project: str, now: datetime) -> float:
    """US dollars. Runs that have not ended count with the most they may cost; deleted ones were paid for all the same.

    Runs that wait for approval do not count: whoever approves one of them sees the others.
    """
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return sum(
        _committed(run) for listed in (project, deleted_project(project)) for run in _runs_since(table, listed, begin)
    )


def hold_of(
    table: Table, project: str, budget: Budget | None, estimate: Estimate | None, now: datetime, beside: float = 0.0
) -> Text | None:
    """Why a run has to wait for approval; None if it need not. `beside`: USD of runs that are admitted together."""
    if budget is None or budget.limits_nothing:
        return None
    spent = spent_this_month(table, project, now) if budget.per_month_usd is not None else 0.0
    return money.needs_approval(budget, estimate, spent + beside)


def _runs_since(table: Table, project: str, begin: datetime) -> Iterator[Run]:
    cursor = None
    for _ in range(_MOST_PAGES):
        page = table.runs_of(project, _PAGE, cursor)
        for run in page.rows:
            if run.created_at < begin:
                return
            yield run
        cursor = page.cursor
        if cursor is None:
            return


def _committed(run: Run) -> float:
    if run.state.is_final:
        return (run.cost.usd or 0.0) if run.cost else 0.0
    if run.state is RunState.REQUESTED or run.awaits_approval or run.estimate is None:
        return 0.0
    return run.estimate.most_usd
