"""A project's own evaluation script: a run of its own on what another run left.

It has the evaluated run's commit, packages and machine; its inputs are that run's outputs and what was pinned for it
when that run was validated. So it goes the way of every run: submitted once, logged, bounded in time, stopped on wish.
"""

from __future__ import annotations

from datetime import datetime

from trainyard.model.evaluation import Evaluation, Gate, Verdict
from trainyard.model.finding import FindingCount
from trainyard.model.ids import new_run_id
from trainyard.model.lifecycle import admit
from trainyard.model.request import InputFile, PinnedInput, RunRequest
from trainyard.model.result import AttemptResult
from trainyard.model.run import Evaluates, FacetState, Origin, Run, RunState, Transition
from trainyard.model.spec import EVALUATED_ARGUMENT, EvaluationSpec, Input, RunSpec
from trainyard.model.text import Text
from trainyard.store import State, layout, spending
from trainyard.store.objects import ObjectMissingError
from trainyard.store.table import AlreadyThereError


def can_run_script(state: State, run: Run) -> bool:
    """Whether the run names a script and left something that it can judge."""
    return run.spec is not None and run.spec.evaluation.script is not None and bool(_outputs(state, run))


def script_run(state: State, run: Run, at: datetime, number: int | None = None, by: str | None = None) -> Run:
    """The run of the script for `run`, started if there is none yet. The same call always means the same run.

    Args:
        number: of the evaluation that somebody (`by`) asked for; None: the run's own.
    """
    assert run.spec is not None
    assert run.commit is not None
    evaluates = Evaluates(run=run.id, number=number)
    run_id = new_run_id(run.created_at, f"{run.id}:evaluation:{number}")
    known = state.table.run(run_id)
    if known is not None:
        return known
    spec = _spec(run, run.spec)
    requested = Run(
        id=run_id,
        name=run.name,
        project=run.project,
        origin=Origin.EVALUATION,
        requested_by=by or run.requested_by,
        commit=run.commit,
        ref=run.ref,
        evaluates=evaluates,
        spec=spec,
        timeline=[Transition(state=RunState.REQUESTED, attempt=0, at=at)],
        created_at=at,
        updated_at=at,
    )
    _store_request(state, run, requested, spec)
    try:
        repository = state.table.repository(run.project)
        estimate = spending.estimate_of(state.table, run.project, run.name, spec, evaluates=True)
        hold = spending.hold_of(state.table, run.project, repository.budget if repository else None, estimate, at)
        started = admit(requested, spec, run.commit, FindingCount(), at, estimate=estimate, hold=hold)
        state.table.create_run(started)
    except AlreadyThereError:
        return state.table.run(run_id) or requested
    return started


def has_judged(script: Run) -> bool:
    """Whether a script's run has come to its end, and what it wrote was read."""
    return script.state.is_final and (script.logs.state is FacetState.DONE or script.state is RunState.REJECTED)


def with_script(evaluation: Evaluation, script: Run) -> Evaluation:
    """The evaluation as it is where the script did not do its work: not passed, whatever else was required."""
    if script.state is RunState.SUCCEEDED:
        return evaluation
    assert script.spec is not None
    reason = script.failure.message if script.failure else Text(en=script.state.value, zh=script.state.value)
    name = script.spec.boot_file
    gate = Gate(
        metric=name,
        requirement="succeeds",
        measured_as=None,
        group=None,
        actual=None,
        passed=False,
        message=Text(
            en=f"The evaluation script {name} did not succeed: {reason.en} See the run {script.id}.",
            zh=f"评估脚本 {name} 未成功：{reason.zh} 详见训练 {script.id}。",
        ),
    )
    return evaluation.model_copy(update={"gates": [*evaluation.gates, gate], "verdict": Verdict.FAILED})


def _spec(run: Run, spec: RunSpec) -> RunSpec:
    evaluation = spec.evaluation
    assert evaluation.script is not None
    changes = {
        "boot_file": evaluation.script,
        "inputs": {EVALUATED_ARGUMENT: Input(run=run.id), **evaluation.inputs},
        "hyperparameters": evaluation.hyperparameters,
        "timeout": evaluation.timeout,
        # However many the training took.
        "nodes": 1,
        "processes": 1,
        "output": True,
        "aim": False,
        "evaluation": EvaluationSpec(),
    }
    return spec.model_copy(update=changes)


def _store_request(state: State, run: Run, script: Run, spec: RunSpec) -> None:
    """Objects first: whoever finds the row finds them."""
    former = RunRequest.model_validate_json(state.objects.get(layout.request_key(run.id)))
    # A copy, because a job may read its own run's code and nobody else's.
    state.objects.copy(former.code_key, layout.code_key(script.id))
    request = RunRequest(
        run_id=script.id,
        name=script.name,
        project=script.project,
        commit=former.commit,
        tree=former.tree,
        spec=spec,
        code_key=layout.code_key(script.id),
        inputs=[_outputs_as_input(state, run), *former.evaluation_inputs],
        image=former.image,
    )
    state.objects.put(layout.request_key(script.id), request.model_dump_json().encode(), "application/json")


def _outputs_as_input(state: State, run: Run) -> PinnedInput:
    return PinnedInput(
        argument=EVALUATED_ARGUMENT,
        source=f"run {run.id}",
        revision=run.commit,
        is_file=False,
        files=_outputs(state, run),
    )


def _outputs(state: State, run: Run) -> list[InputFile]:
    try:
        result = AttemptResult.model_validate_json(state.objects.get(layout.result_key(run.id, run.attempt)))
    except (ObjectMissingError, ValueError):
        return []
    prefix = layout.output_prefix(run.id)
    return [InputFile(path=one.path, size=one.size, sha256=one.sha256, key=prefix + one.path) for one in result.outputs]
