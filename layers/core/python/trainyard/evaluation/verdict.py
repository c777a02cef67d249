"""An indexed run gets its evaluation and verdict."""

from __future__ import annotations

from datetime import UTC, datetime

from trainyard.evaluation.comparison import entrant
from trainyard.evaluation.history import references
from trainyard.evaluation.run import evaluate_run, stored_metrics
from trainyard.evaluation.sparkline import sparkline
from trainyard.model import lifecycle
from trainyard.model.requirement import references_in
from trainyard.model.run import EvaluationFacet, FacetState, Run
from trainyard.store import State, layout

_MARKED = ("dataset", "model")


def judge_run(state: State, run_id: str, at: datetime | None = None) -> Run | None:
    """Evaluate what the run left and note the key figures on it. Does nothing before its log is indexed."""
    run = state.table.run(run_id)
    if run is None or run.logs.state is not FacetState.DONE or run.deleted_at is not None:
        return run
    require = run.spec.evaluation.require if run.spec else {}
    metrics = stored_metrics(state.objects, run_id)
    evaluation = evaluate_run(state.objects, run_id, metrics, require, references(state, run, references_in(require)))
    key_metric, curve = sparkline(metrics, evaluation)
    _mark_inputs(state, run)
    facet = EvaluationFacet(
        state=FacetState.DONE,
        verdict=evaluation.verdict.value,
        best=evaluation.best(),
        last=evaluation.last(),
        key_metric=key_metric,
        curve=curve,
    )
    now = at or datetime.now(UTC)
    return state.table.change_run(run_id, lambda known: lifecycle.evaluated(known, facet, now))


def _mark_inputs(state: State, run: Run) -> None:
    """Put the run on the leaderboards of the repositories that it trained on."""
    for pinned in entrant(state.objects, run).inputs:
        kind, _, repository = pinned.source.partition(" ")
        if kind in _MARKED and pinned.revision:
            state.objects.put(layout.trained_on_key(repository, pinned.revision, run.id), b"")
