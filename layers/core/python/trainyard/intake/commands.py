"""Commands on a run that exists: stop it, delete it."""

from __future__ import annotations

from datetime import UTC, datetime

from trainyard.intake.permissions import commandable_run, readable_run
from trainyard.model import lifecycle
from trainyard.model.errors import Conflict
from trainyard.model.repository import AccessToken
from trainyard.model.run import Run
from trainyard.model.text import Text
from trainyard.store import State, layout


def stop_run(state: State, run_id: str, token: AccessToken | None, now: datetime | None = None) -> Run:
    """Wish that the run ends. Before a job exists it ends at once; stopping twice, or after the end, changes nothing.

    Raises:
        NotFound, Unauthenticated, Forbidden: the run, or commanding it, is not the user's.
    """
    readable_run(state.table, run_id, token)
    run = commandable_run(state.table, run_id, token)
    assert token is not None
    by, at = token.user, now or datetime.now(UTC)
    return state.table.change_run(run.id, lambda known: lifecycle.request_stop(known, by, at), run) or run


def delete_run(state: State, run_id: str, token: AccessToken | None, now: datetime | None = None) -> None:
    """Hide the run and remove everything that it left. Deleting again finishes what was left undone.

    Raises:
        NotFound, Unauthenticated, Forbidden: the run, or commanding it, is not the user's.
        Conflict: it has not ended; deleting it would leave a job behind that costs money.
    """
    run = commandable_run(state.table, run_id, token)
    at = now or datetime.now(UTC)
    run = state.table.change_run(run.id, lambda known: lifecycle.mark_deleted(known, at), run) or run
    if run.deleted_at is None:
        raise Conflict(
            Text(
                en=f"The run is {run.state.value}. Stop it, wait until it has ended, then delete it.",
                zh=f"该训练的状态为 {run.state.value}。请先停止，等它结束后再删除。",
            ),
            code="run_not_ended",
            details={"state": run.state.value},
        )
    # The row first: a run whose files are half gone must not be seen.
    state.objects.delete_prefix(layout.run_prefix(run.id))
    for table in ("points", "runs"):
        state.objects.delete_prefix(layout.query_prefix(table, run.created_at.date().isoformat(), run.id))
