"""A run that has ended gets its indexed log, its metrics and the reason why it failed."""

from __future__ import annotations

from datetime import UTC, datetime

from trainyard.logs.index import LogSummary, index_run
from trainyard.logs.sweep import index_sweep
from trainyard.model import lifecycle
from trainyard.model.run import FacetState, FailureReason, LogsFacet, Run
from trainyard.store import State, layout


def index_logs(state: State, run_id: str, at: datetime | None = None) -> Run | None:
    """Index what the run printed and note it on the run. Does nothing while it has not ended, or if it is gone."""
    run = state.table.run(run_id)
    if run is None or not run.state.is_final or run.deleted_at is not None or run.logs.state is FacetState.DONE:
        return run
    # Of an evaluation script counts what it wrote for that; what it printed, where it wrote nothing.
    only = "metrics.json" if run.evaluates is not None else None
    scopes = run.spec.evaluation.scopes if run.spec is not None else None
    summary = index_run(state.objects, run_id, run.attempt, only=only, scopes=scopes)
    if run.spec is not None and run.spec.is_sweep and run.job is not None:
        index_sweep(state.objects, run_id, run.spec.combinations())
    if run.spec is not None and run.job is not None:
        for node in range(1, run.spec.nodes):
            index_run(state.objects, layout.node_id(run_id, node), run.attempt)
    facet = LogsFacet(state=FacetState.DONE, lines=summary.lines, bytes=summary.bytes)
    now = at or datetime.now(UTC)
    return state.table.change_run(
        run_id, lambda known: lifecycle.logs_indexed(known, facet, _failure(known, summary), now), run
    )


def _failure(run: Run, summary: LogSummary) -> FailureReason | None:
    """What the log says; where it does not tell, what the backend knew, with the last that was printed.

    Of a run that was ended because of another machine the log of its first one tells nothing.
    """
    if run.stop is not None and run.stop.failure is not None:
        return run.failure
    if summary.failure is not None or run.failure is None:
        return summary.failure
    return run.failure.model_copy(update={"last_lines": run.failure.last_lines or summary.last_lines})
