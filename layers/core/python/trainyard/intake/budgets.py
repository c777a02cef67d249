"""What a run would cost, what a project may spend, and who agrees to more."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from trainyard.intake.permissions import owned_repository, owned_run, writable_repository
from trainyard.intake.submissions import SubmitRun
from trainyard.model import lifecycle
from trainyard.model.budget import Budget
from trainyard.model.errors import Conflict
from trainyard.model.money import Estimate
from trainyard.model.repository import AccessToken, Repository
from trainyard.model.run import Run
from trainyard.model.text import Text
from trainyard.store import State, spending


class Quotation(BaseModel):
    """What a run would cost, and whether it would have to wait for somebody's approval."""

    model_config = ConfigDict(extra="forbid")

    estimate: Estimate | None = None
    """None where the flavor is not known or has no price in this region."""
    needs_approval: Text | None = None
    """Why somebody would have to approve it first."""
    spent_this_month_usd: float
    """What the project's runs of this month cost, those that have not ended at the most they may."""
    budget: Budget | None = None


def quote(
    state: State, project: str, token: AccessToken | None, request: SubmitRun, now: datetime | None = None
) -> Quotation:
    """Nothing is stored. The errors of `writable_repository`."""
    at = now or datetime.now(UTC)
    repository = writable_repository(state.table, project, token)
    estimate = spending.estimate_of(state.table, project, request.name, request.spec)
    return Quotation(
        estimate=estimate,
        needs_approval=spending.hold_of(state.table, project, repository.budget, estimate, at),
        spent_this_month_usd=round(spending.spent_this_month(state.table, project, at), 4),
        budget=repository.budget,
    )


def set_budget(state: State, project: str, token: AccessToken | None, budget: Budget) -> Repository:
    """Runs that wait for approval already go on waiting: somebody looks at them anyway.

    Raises:
        Unauthenticated, NotFound: see `owned_repository`.
        Forbidden: neither the owner nor an operator.
    """
    repository = owned_repository(state.table, project, token)
    wanted = None if budget.limits_nothing else budget
    changed = state.table.change_repository(project, lambda known: known.model_copy(update={"budget": wanted}))
    return changed or repository


def approve_run(state: State, run_id: str, token: AccessToken | None, now: datetime | None = None) -> Run:
    """Agree to what a run costs; it is submitted then. Approving twice changes nothing.

    Raises:
        Unauthenticated, NotFound: see `owned_run`.
        Forbidden: neither the owner of its project nor an operator.
        Conflict: it does not wait for approval.
    """
    run = owned_run(state.table, run_id, token)
    assert token is not None
    at = now or datetime.now(UTC)
    run = state.table.change_run(run.id, lambda current: lifecycle.approve(current, token.user, at)) or run
    if run.approval is None or run.approval.pending:
        raise Conflict(
            Text(
                en=f"The run does not wait for approval; it is {run.state.value}.",
                zh=f"该训练无需批准，当前状态为 {run.state.value}。",
            ),
            code="nothing_to_approve",
            details={"state": run.state.value},
        )
    return run
