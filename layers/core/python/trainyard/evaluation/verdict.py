"""An indexed run gets its evaluation and verdict."""

from __future__ import annotations

from datetime import UTC, datetime

from trainyard.evaluation.history import references
from trainyard.evaluation.run import evaluate_run, stored_metrics
from trainyard.evaluation.sparkline import sparkline
from trainyard.model import lifecycle
from trainyard.model.requirement import references_in
from trainyard.model.run import EvaluationFacet, FacetState, Run
from trainyard.store import State


def judge_run(state: State, run_id: str, at: datetime | None = None) -> Run | None:
    """Evaluate what the run left and note the key figures on it. Does nothing before its log is indexed."""
    run = state.table.run(run_id)
    if run is None or run.logs.state is not FacetState.DONE or run.deleted_at is not None:
        return run
    require = run.spec.evaluation.require if run.spec else {}
    metrics = stored_metrics(state.objects, run_id)
    evaluation = evaluate_run(state.objects, run_id, metrics, require, references(state, run, references_in(require)))
    key_metric, curve = sparkline(metrics, evaluation)
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
