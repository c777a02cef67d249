"""A run that was asked for by form or API is resolved, checked and decided on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import a_repository, a_run, a_spec
from unit.validation.git_rig import GitServer

from trainyard.model.lifecycle import request_stop
from trainyard.model.repository import RepositoryKind
from trainyard.model.request import RunRequest
from trainyard.model.result import AttemptResult, Ending, OutputFile
from trainyard.model.run import Origin, Run, RunState
from trainyard.store import State, layout
from trainyard.validation.request import validate_run

SCRIPT = (
    "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--output_path')\n"
    "parser.add_argument('--data_url')\nparser.parse_args()\n"
)
PROJECT = {"train.py": SCRIPT, "pip-requirements.txt": ""}


@pytest.fixture
def project(state: State, git_server: GitServer) -> Any:
    state.table.create_repository(a_repository("demo/lenet5", clone_url=git_server.url("demo/lenet5")))
    return git_server.repository("demo/lenet5")


def asked(state: State, **changes: Any) -> Run:
    run = a_run(**{"origin": Origin.FORM, "commit": None, **changes})
    state.table.create_run(run)
    decided = validate_run(state, run.id)
    assert decided == state.table.run(run.id)
    return decided


def request_of(state: State, run: Run) -> RunRequest:
    return RunRequest.model_validate_json(state.objects.get(layout.request_key(run.id)))


def test_the_default_branch_is_resolved_to_its_commit(state: State, project: Any) -> None:
    commit = project.commit(PROJECT)
    run = asked(state)
    assert (run.state, run.commit, request_of(state, run).commit) == (RunState.ADMITTED, commit, commit)


@pytest.mark.parametrize("ref", ["try", "refs/heads/try", "sha"])
def test_a_ref_is_resolved(state: State, project: Any, ref: str) -> None:
    project.commit({"other.py": ""})
    commit = project.commit(PROJECT, ref="refs/heads/try")
    assert asked(state, ref=commit if ref == "sha" else ref).commit == commit


@pytest.mark.parametrize("ref", ["nothing", "--upload-pack=touch /tmp/x", "../../etc", "a b", "1" * 40])
def test_a_ref_that_is_none_is_a_finding(state: State, project: Any, ref: str) -> None:
    project.commit(PROJECT)
    run = asked(state, ref=ref)
    assert (run.state, run.findings.errors) == (RunState.REJECTED, 1)


def test_a_run_that_was_stopped_meanwhile_stays_stopped(state: State, project: Any) -> None:
    project.commit(PROJECT)
    run = a_run(origin=Origin.API, commit=None)
    state.table.create_run(run)

    class StoppedOnTheWay:
        """Objects whose first write gives the user the time to stop the run."""

        def __getattr__(self, name: str) -> Any:
            return getattr(state.objects, name)

        def put(self, *arguments: Any, **more: Any) -> bool:
            state.table.change_run(run.id, lambda now: request_stop(now, "ada", datetime.now(UTC)))
            return state.objects.put(*arguments, **more)

    meanwhile = State(state.table, StoppedOnTheWay(), state.secrets, state.bus)
    assert validate_run(meanwhile, run.id).state is RunState.STOPPED
    assert state.table.run(run.id).state is RunState.STOPPED


def test_deciding_twice_is_deciding_once(state: State, project: Any) -> None:
    project.commit(PROJECT)
    run = asked(state)
    assert validate_run(state, run.id) == run
    assert validate_run(state, "run-unknown") is None


def test_faults_are_findings_without_a_file_where_the_form_is_to_blame(state: State, project: Any) -> None:
    project.commit(PROJECT)
    run = asked(state, spec=a_spec(boot_file="trian.py"))
    (finding,) = json.loads(state.objects.get(layout.findings_key(run.id)))["findings"]
    assert (finding["rule"], finding["file"], finding["line"]) == ("boot-file-missing", "", None)


def ended(state: State, run_id: str, run_state: RunState = RunState.SUCCEEDED) -> None:
    state.table.create_run(a_run(run_id, state=run_state, attempt=1))
    output = OutputFile(path="ckpt/lenet.ckpt", size=3, sha256="ab" * 32)
    result = AttemptResult(
        run_id=run_id, attempt=1, ending=Ending.SUCCEEDED, outputs=[output], finished_at=datetime.now(UTC)
    )
    state.objects.put(layout.result_key(run_id, 1), result.model_dump_json().encode())


@pytest.mark.parametrize("reference", ["run-0000000000000000000001", "latest demo/lenet5 lenet5"])
def test_the_output_of_a_former_run_is_an_input(state: State, project: Any, reference: str) -> None:
    project.commit(PROJECT)
    ended(state, "run-0000000000000000000001")
    ended(state, "run-0000000000000000000002", RunState.FAILED)
    spec = a_spec(inputs={"data_url": {"run": reference, "path": "ckpt/lenet.ckpt"}})
    state.table.create_run(a_run("run-0000000000000000000009", name="other", state=RunState.SUCCEEDED, attempt=1))
    run = asked(state, run_id="run-0000000000000000000003", spec=spec)

    (pinned,) = request_of(state, run).inputs
    assert (pinned.source, pinned.is_file) == ("run run-0000000000000000000001", True)
    assert pinned.files[0].key == "runs/run-0000000000000000000001/output/ckpt/lenet.ckpt"


SWEEP = "run-0000000000000000000001"


def swept(state: State) -> None:
    """A sweep of two trainings, the second of which needed a second attempt."""
    spec = a_spec(hyperparameters={"lr": [0.1, 0.01]}, retries=1)
    state.table.create_run(a_run(SWEEP, state=RunState.FAILED, attempt=1, spec=spec))
    for index, attempt in ((0, 1), (1, 2)):
        output = OutputFile(path="lenet.ckpt", size=3, sha256="ab" * 32)
        result = AttemptResult(
            run_id=SWEEP, attempt=attempt, ending=Ending.SUCCEEDED, outputs=[output], finished_at=datetime.now(UTC)
        )
        key = layout.result_key(layout.child_id(SWEEP, index), attempt)
        state.objects.put(key, result.model_dump_json().encode())


def test_the_output_of_one_training_of_a_sweep_is_an_input_and_again(state: State, project: Any) -> None:
    project.commit(PROJECT)
    swept(state)
    spec = a_spec(inputs={"data_url": {"run": SWEEP, "child": 1, "path": "lenet.ckpt"}})
    run = asked(state, run_id="run-0000000000000000000003", spec=spec)
    (pinned,) = request_of(state, run).inputs
    assert (pinned.source, pinned.is_file) == (f"run {SWEEP} child 1", True)
    assert pinned.files[0].key == f"runs/{SWEEP}/children/00001/output/lenet.ckpt"
    again = asked(state, run_id="run-0000000000000000000004", spec=spec, rerun_of=run.id)
    assert request_of(state, again).inputs == [pinned]


@pytest.mark.parametrize(
    ("source", "field", "words"),
    [
        ({"run": SWEEP}, "run", "`child:` from 0 to 1"),
        ({"run": SWEEP, "child": 2}, "child", "`child:` from 0 to 1"),
        ({"run": "run-0000000000000000000002", "child": 0}, "child", "Remove `child`."),
    ],
)
def test_which_training_of_a_sweep_has_to_be_said(
    state: State, project: Any, source: dict[str, Any], field: str, words: str
) -> None:
    project.commit(PROJECT)
    swept(state)
    ended(state, "run-0000000000000000000002")
    run = asked(state, run_id="run-0000000000000000000003", spec=a_spec(inputs={"data_url": source}))
    (finding,) = json.loads(state.objects.get(layout.findings_key(run.id)))["findings"]
    assert (run.state, finding["field"]) == (RunState.REJECTED, f"inputs.data_url.{field}")
    assert words in finding["fix"]["en"]


def test_a_run_that_has_not_ended_is_no_input(state: State, project: Any) -> None:
    project.commit(PROJECT)
    ended(state, "run-0000000000000000000001", RunState.RUNNING)
    spec = a_spec(inputs={"data_url": {"run": "run-0000000000000000000001"}})
    run = asked(state, run_id="run-0000000000000000000003", spec=spec)
    assert run.state is RunState.REJECTED


def test_a_run_again_gets_the_inputs_of_the_first_time(state: State, git_server: GitServer, project: Any) -> None:
    project.commit(PROJECT)
    state.table.create_repository(
        a_repository("demo/digits", kind=RepositoryKind.DATASET, clone_url=git_server.url("demo/digits"))
    )
    data = git_server.repository("demo/digits")
    first_data = data.commit({"a.txt": "first"})
    spec = a_spec(inputs={"data_url": {"dataset": "demo/digits"}})
    first = asked(state, run_id="run-0000000000000000000001", spec=spec)
    data.commit({"a.txt": "second"})
    again = asked(
        state,
        run_id="run-0000000000000000000002",
        spec=spec,
        origin=Origin.RERUN,
        rerun_of=first.id,
        commit=first.commit,
    )

    assert request_of(state, again).inputs[0].revision == first_data
    assert again.spec == spec
