"""A project's evaluation script, and evaluations that are asked for again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from builders import COMMIT, NOW, a_run, a_spec

from trainyard.evaluation.repeat import repeat_evaluation, repeated_evaluation, repeated_evaluations
from trainyard.evaluation.verdict import judge_run
from trainyard.logs.run import index_logs
from trainyard.model.errors import Conflict, InvalidInput
from trainyard.model.image import PinnedImage
from trainyard.model.request import InputFile, PinnedInput, RunRequest
from trainyard.model.result import AttemptResult, Ending, OutputFile
from trainyard.model.run import FacetState, FailureReason, Run, RunState
from trainyard.model.text import Text
from trainyard.store import State, layout

PARENT = "run-0000000000000000000001"
SHA = "b" * 64
SPEC = {
    "output": True,
    "evaluation": {
        "script": "evaluate.py",
        "inputs": {"test_url": {"dataset": "demo/digits"}},
        "hyperparameters": {"batch": 8},
        "require": {"accuracy": ">= 0.9"},
        "timeout": "5m",
    },
}
TEST_SET = PinnedInput(
    argument="test_url",
    source="dataset demo/digits",
    revision=COMMIT,
    is_file=False,
    files=[InputFile(path="t10k", size=3, sha256=SHA, key="lfs/t10k")],
    stage="evaluation",
)


# The script stands on what the run stood on, whatever its tag means by now.
IMAGE = PinnedImage(reference=f"ghcr.io/team/train:v1@sha256:{SHA}", manifest=f"sha256:{SHA}", layers=[])


def end(state: State, run_id: str, outputs: dict[str, bytes], ending: Ending = Ending.SUCCEEDED) -> None:
    """The attempt has left its outputs and its result, and the log is indexed."""
    for name, content in outputs.items():
        state.objects.put(layout.output_prefix(run_id) + name, content)
    files = [OutputFile(path=name, size=len(content), sha256=SHA) for name, content in outputs.items()]
    result = AttemptResult(run_id=run_id, attempt=1, ending=ending, finished_at=NOW, outputs=files)
    state.objects.put(layout.result_key(run_id, 1), result.model_dump_json().encode())
    index_logs(state, run_id)


@pytest.fixture
def train(state: State) -> Callable[..., None]:
    def _train(outputs: dict[str, bytes] | None = None, **changes: Any) -> None:
        spec = a_spec(**(SPEC | changes.pop("spec", {})))
        run = a_run(PARENT, **({"state": RunState.SUCCEEDED, "attempt": 1, "spec": spec} | changes))
        state.table.create_run(run)
        state.objects.put(layout.code_key(PARENT), b"the code")
        request = RunRequest(
            run_id=PARENT, name=run.name, project=run.project, commit=COMMIT, spec=spec,
            code_key=layout.code_key(PARENT), evaluation_inputs=[TEST_SET], image=IMAGE,
        )  # fmt: skip
        state.objects.put(layout.request_key(PARENT), request.model_dump_json().encode())
        end(state, PARENT, {"lenet.ckpt": b"abc"} if outputs is None else outputs)

    return _train


def children(state: State) -> list[Run]:
    return [run for run in state.table.runs_of("demo/lenet5").rows if run.evaluates is not None]


def finish(state: State, child: Run, ended_as: RunState, outputs: dict[str, bytes], **changes: Any) -> None:
    state.table.change_run(
        child.id, lambda known: known.model_copy(update={"state": ended_as, "attempt": 1, **changes})
    )
    end(state, child.id, outputs, Ending.SUCCEEDED if ended_as is RunState.SUCCEEDED else Ending.SCRIPT_FAILED)


def test_the_script_runs_once_on_what_was_left_with_what_was_pinned(state: State, train: Any) -> None:
    train()
    for _ in range(3):
        run = judge_run(state, PARENT)
    assert run is not None
    assert run.evaluation.state is FacetState.NONE
    (child,) = children(state)
    assert (child.state, child.commit, child.evaluates.run) == (RunState.ADMITTED, COMMIT, PARENT)
    assert (child.spec.boot_file, child.spec.hyperparameters) == ("evaluate.py", {"batch": 8})
    assert child.spec.timeout.total_seconds() == 300
    assert child.spec.evaluation.script is None
    request = RunRequest.model_validate_json(state.objects.get(layout.request_key(child.id)))
    assert request.image == IMAGE
    assert state.objects.get(request.code_key) == b"the code"
    model, test = request.inputs
    assert (model.argument, model.files[0].key) == ("model_url", layout.output_prefix(PARENT) + "lenet.ckpt")
    assert test == TEST_SET


def test_however_many_machines_trained_one_judges(state: State, train: Any) -> None:
    train(spec={"nodes": 2, "processes": 4})
    judge_run(state, PARENT)
    (script,) = children(state)
    assert script.spec is not None
    assert (script.spec.nodes, script.spec.processes) == (1, 1)


def test_what_it_writes_to_metrics_json_decides(state: State, train: Any) -> None:
    train()
    judge_run(state, PARENT)
    (child,) = children(state)
    finish(
        state,
        child,
        RunState.SUCCEEDED,
        {"metrics.json": b'{"accuracy": 0.93, "f1": 0.9}', "a.csv": b"epoch,loss\n1,9\n"},
    )
    judge_run(state, child.id)
    run = state.table.run(PARENT)
    assert run is not None
    assert (run.evaluation.verdict, run.evaluation.best) == ("passed", {"accuracy": 0.93, "f1": 0.9})
    # Whatever comes again, and in whatever order.
    judge_run(state, PARENT)
    judge_run(state, child.id)
    assert state.table.run(PARENT) == run
    assert len(children(state)) == 1


@pytest.mark.parametrize("ended_as", [RunState.FAILED, RunState.STOPPED, RunState.TIMED_OUT])
def test_a_script_that_does_not_succeed_is_no_pass(state: State, train: Any, ended_as: RunState) -> None:
    train(spec={"evaluation": {"script": "evaluate.py"}})
    judge_run(state, PARENT)
    (child,) = children(state)
    failure = FailureReason(kind="script", message=Text(en="KeyError: 'x'", zh="KeyError: 'x'"))
    finish(state, child, ended_as, {}, failure=failure)
    judge_run(state, child.id)
    run = state.table.run(PARENT)
    assert run is not None
    assert run.evaluation.verdict == "failed"
    gate = json.loads(state.objects.get(layout.evaluation_key(PARENT)))["gates"][-1]
    assert "KeyError" in gate["message"]["en"]
    assert child.id in gate["message"]["zh"]


@pytest.mark.parametrize(
    "changes", [{"state": RunState.FAILED}, {"state": RunState.STOPPED}, {"spec": {"evaluation": {}}}]
)
def test_nobody_pays_for_a_script_without_need(state: State, train: Any, changes: Any) -> None:
    train(**changes)
    run = judge_run(state, PARENT)
    assert run is not None
    assert run.evaluation.state is FacetState.DONE
    assert children(state) == []


def test_a_run_that_left_nothing_is_judged_without(state: State, train: Any) -> None:
    train(outputs={})
    run = judge_run(state, PARENT)
    assert run is not None
    assert run.evaluation.verdict == "failed"
    assert children(state) == []


@pytest.mark.parametrize("ended_as", [RunState.FAILED, RunState.STOPPED, RunState.TIMED_OUT, RunState.SUCCEEDED])
def test_evaluated_again_with_other_requirements(state: State, train: Any, ended_as: RunState) -> None:
    train(
        {"metrics.json": b'{"accuracy": 0.93}'},
        state=ended_as,
        spec={"evaluation": {"require": {"accuracy": "> 0.99"}}},
    )
    own = judge_run(state, PARENT)
    first = repeat_evaluation(state, own, {"accuracy": ">= 0.9"}, "ada", NOW)
    second = repeat_evaluation(state, own, {"accuracy": ">= 0.95"}, "bob", NOW)
    assert [(one.number, one.evaluation.verdict) for one in (first, second)] == [(1, "passed"), (2, "failed")]
    assert list(repeated_evaluations(state, PARENT)) == [first, second]
    assert list(repeated_evaluations(state, PARENT, behind=1)) == [second]
    assert state.table.run(PARENT) == own
    assert own.evaluation.verdict == "failed"


def test_the_script_again_for_a_run_that_failed(state: State, train: Any) -> None:
    train(state=RunState.FAILED)
    run = judge_run(state, PARENT)
    asked = repeat_evaluation(state, run, {"accuracy": "> 0.5"}, "ada", NOW, script=True)
    assert asked.evaluation is None
    (child,) = children(state)
    assert (child.id, child.requested_by, child.evaluates.number) == (asked.script_run, "ada", 1)
    finish(state, child, RunState.SUCCEEDED, {"metrics.json": b'{"accuracy": 0.6}'})
    judge_run(state, child.id)
    done = repeated_evaluation(state, PARENT, 1)
    assert done is not None
    assert done.evaluation.verdict == "passed"
    assert state.table.run(PARENT) == run
    judge_run(state, child.id)
    assert repeated_evaluation(state, PARENT, 1) == done


def test_what_cannot_be_evaluated_again(state: State, train: Any) -> None:
    train(outputs={})
    run = state.table.run(PARENT)
    with pytest.raises(InvalidInput):
        repeat_evaluation(state, run, {"accuracy": "good"}, "ada", NOW)
    with pytest.raises(InvalidInput):
        repeat_evaluation(state, run, {}, "ada", NOW, script=True)
    with pytest.raises(Conflict):
        repeat_evaluation(state, a_run("run-2"), {}, "ada", NOW)
    assert list(repeated_evaluations(state, PARENT)) == []


def test_a_spec_with_a_script() -> None:
    for wrong in (
        {"evaluation": {"script": "evaluate.sh"}},
        {"evaluation": {"script": "../evaluate.py"}},
        {"evaluation": {"script": "e.py"}, "output": False},
        {"evaluation": {"script": "e.py", "inputs": {"model_url": {"dataset": "a/b"}}}},
        {"evaluation": {"script": "e.py", "hyperparameters": {"output_path": "x"}}},
        {"evaluation": {"inputs": {"test_url": {"dataset": "a/b"}}}},
        {"evaluation": {"script": "e.py", "timeout": "1s"}},
    ):
        with pytest.raises(ValueError):
            a_spec(**wrong)
