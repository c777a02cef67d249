"""Evaluations with other settings, beside a run's own: each is kept under its number, and none replaces another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from trainyard.evaluation.history import references
from trainyard.evaluation.run import stored_metrics
from trainyard.evaluation.script import can_run_script, has_judged, script_run, with_script
from trainyard.evaluation.standard import evaluate
from trainyard.model.errors import Conflict, InvalidInput
from trainyard.model.evaluation import Evaluation, RepeatedEvaluation
from trainyard.model.metric import Metrics, merged
from trainyard.model.requirement import parse_requirement, references_in
from trainyard.model.run import FacetState, Run
from trainyard.model.scopes import Scopes
from trainyard.model.text import Text
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError

MOST = 1000
_SCRIPT = "evaluation script"


def repeat_evaluation(
    state: State,
    run: Run,
    require: dict[str, str],
    by: str,
    at: datetime,
    *,
    script: bool = False,
    scopes: Scopes | None = None,
) -> RepeatedEvaluation:
    """Evaluate an ended run once more. With `script` its evaluation script runs first, and the answer comes later.

    `scopes` name the groups of a sweep anew.

    Raises:
        InvalidInput: a requirement cannot be understood, or there is no script or nothing for it to judge.
        Conflict: the run's log is not indexed yet, or it was evaluated too often.
    """
    for requirement in require.values():
        parse_requirement(requirement)
    if run.logs.state is not FacetState.DONE:
        raise Conflict(
            Text(
                en="The run has not ended, or its log is not indexed yet. Try again when it is.",
                zh="该训练尚未结束，或其日志尚未建立索引。请稍后再试。",
            ),
            code="run_not_ended",
        )
    if script and not can_run_script(state, run):
        raise InvalidInput(
            Text(
                en="The run names no evaluation script, or it left no output that one could judge.",
                zh="该训练没有指定评估脚本，或没有留下可供评估的输出。",
            ),
            details={"field": "script"},
        )
    record = _reserve(
        state, run, RepeatedEvaluation(number=0, require=require, scopes=scopes or Scopes(), requested_by=by, at=at)
    )
    if script:
        started = script_run(state, run, at, record.number, by)
        record = record.model_copy(update={"script_run": started.id})
    else:
        record = record.model_copy(update={"evaluation": _judge(state, run, record, None)})
    return _store(state, run, record)


def finish_repeated(state: State, run: Run, number: int, script: Run) -> None:
    """The script of an evaluation has ended: the evaluation is made of what it wrote. Doing it twice is harmless."""
    record = repeated_evaluation(state, run.id, number)
    if record is not None and record.evaluation is None and has_judged(script):
        _store(state, run, record.model_copy(update={"evaluation": _judge(state, run, record, script)}))


def repeated_evaluation(state: State, run_id: str, number: int) -> RepeatedEvaluation | None:
    with suppress(ObjectMissingError):
        return RepeatedEvaluation.model_validate_json(state.objects.get(layout.repeated_evaluation_key(run_id, number)))
    return None


def repeated_evaluations(state: State, run_id: str, behind: int = 0, limit: int = 50) -> Iterator[RepeatedEvaluation]:
    """In the order in which they were asked for, from number `behind + 1` on."""
    after = layout.repeated_evaluation_key(run_id, behind)
    for entry in state.objects.find(layout.repeated_evaluation_prefix(run_id), after, limit):
        yield RepeatedEvaluation.model_validate_json(state.objects.get(entry.key))


def metrics_with(state: State, run_id: str, script: Run | None) -> Metrics:
    """What the run measured, and what its evaluation script did."""
    metrics = stored_metrics(state.objects, run_id)
    return metrics if script is None else merged(metrics, {_SCRIPT: stored_metrics(state.objects, script.id)})


def _judge(state: State, run: Run, record: RepeatedEvaluation, script: Run | None) -> Evaluation:
    known = references(state, run, references_in(record.require))
    metrics = record.scopes.named(metrics_with(state, run.id, script), anew=True)
    evaluation = evaluate(metrics, record.require, known)
    return evaluation if script is None else with_script(evaluation, script)


def _reserve(state: State, run: Run, record: RepeatedEvaluation) -> RepeatedEvaluation:
    """Take the next free number. Two calls at the same moment get two."""
    taken = [entry.key for entry in state.objects.find(layout.repeated_evaluation_prefix(run.id))]
    number = int(taken[-1].rsplit("/", 1)[1].removesuffix(".json")) if taken else 0
    while number < MOST:
        number += 1
        numbered = record.model_copy(update={"number": number})
        key = layout.repeated_evaluation_key(run.id, number)
        if state.objects.put(key, numbered.model_dump_json().encode(), "application/json", if_absent=True):
            return numbered
    raise Conflict(
        Text(en=f"A run can be evaluated {MOST} times.", zh=f"一个训练最多可评估 {MOST} 次。"), code="too_many"
    )


def _store(state: State, run: Run, record: RepeatedEvaluation) -> RepeatedEvaluation:
    key = layout.repeated_evaluation_key(run.id, record.number)
    state.objects.put(key, record.model_dump_json().encode(), "application/json")
    return record
