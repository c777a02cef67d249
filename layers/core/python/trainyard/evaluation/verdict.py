"""An indexed run gets its evaluation and verdict."""

from __future__ import annotations

from datetime import UTC, datetime

from trainyard.evaluation.bundle import store_bundle
from trainyard.evaluation.comparison import entrant
from trainyard.evaluation.history import references
from trainyard.evaluation.query import store_rows
from trainyard.evaluation.repeat import finish_repeated, metrics_with
from trainyard.evaluation.script import can_run_script, has_judged, script_run, with_script
from trainyard.evaluation.sparkline import sparkline
from trainyard.evaluation.standard import evaluate
from trainyard.model import lifecycle
from trainyard.model.requirement import references_in
from trainyard.model.run import Evaluates, EvaluationFacet, FacetState, Run, RunState
from trainyard.store import State, layout

_MARKED = ("dataset", "model")


def judge_run(state: State, run_id: str, at: datetime | None = None) -> Run | None:
    """Evaluate what the run left and note the key figures on it. Does nothing before its log is indexed.

    Where the run succeeded and its project has an evaluation script, that is run first; the verdict comes with its end.
    """
    now = at or datetime.now(UTC)
    run = state.table.run(run_id)
    if run is None or run.logs.state is not FacetState.DONE or run.deleted_at is not None:
        return run
    if run.evaluates is not None:
        return _judge_script(state, run, run.evaluates, now)
    script = None
    if run.state is RunState.SUCCEEDED and can_run_script(state, run):
        script = script_run(state, run, now)
        if not has_judged(script):
            return run
    return _judge(state, run, script, now)


def _judge(state: State, run: Run, script: Run | None, at: datetime) -> Run | None:
    require = run.spec.evaluation.require if run.spec else {}
    metrics = metrics_with(state, run.id, script)
    evaluation = evaluate(metrics, require, references(state, run, references_in(require)))
    if script is not None:
        evaluation = with_script(evaluation, script)
    document = evaluation.model_dump_json().encode()
    state.objects.put(layout.evaluation_key(run.id), document, content_type="application/json")
    if run.evaluates is None:
        _mark_inputs(state, run)
    key_metric, curve = sparkline(metrics, evaluation)
    facet = EvaluationFacet(
        state=FacetState.DONE,
        verdict=evaluation.verdict.value,
        best=evaluation.best(),
        last=evaluation.last(),
        key_metric=key_metric,
        curve=curve,
    )
    # What stands beside the row first: whoever hears of the verdict finds it.
    judged = run.model_copy(update={"evaluation": facet})
    store_bundle(state, judged)
    if run.evaluates is None:
        store_rows(state, judged, metrics)
    return state.table.change_run(run.id, lambda known: lifecycle.evaluated(known, facet, at), run)


def _judge_script(state: State, script: Run, evaluates: Evaluates, at: datetime) -> Run | None:
    """A script's run has ended: it is evaluated as every run is, and then what it was for."""
    judged = _judge(state, script, None, at)
    run = state.table.run(evaluates.run)
    if run is None or run.deleted_at is not None:
        return judged
    if evaluates.number is None:
        _judge(state, run, script, at)
    else:
        finish_repeated(state, run, evaluates.number, script)
    return judged


def _mark_inputs(state: State, run: Run) -> None:
    """Put the run on the leaderboards of the repositories that it trained on."""
    for pinned in entrant(state.objects, run).inputs:
        kind, _, repository = pinned.source.partition(" ")
        if kind in _MARKED and pinned.revision:
            state.objects.put(layout.trained_on_key(repository, pinned.revision, run.id), b"")
