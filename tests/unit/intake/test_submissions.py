from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from unit.intake.conftest import NOW, make_repository

from trainyard.intake.commands import delete_run, stop_run
from trainyard.intake.lost_requests import receive_lost_requests
from trainyard.intake.submissions import RunChanges, SubmitRun, rerun, submit_run
from trainyard.model import lifecycle
from trainyard.model.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from trainyard.model.finding import FindingCount
from trainyard.model.lifecycle import JobPhase, Observation
from trainyard.model.repository import AccessToken, Repository, RepositoryKind, Visibility
from trainyard.model.request import PinnedInput, RunRequest
from trainyard.model.run import Job, Origin, Run, RunState
from trainyard.model.spec import RunSpec
from trainyard.store import State, layout
from trainyard.store.table import run_key

SHA, OTHER = "a" * 40, "b" * 40


def wanted(**changes: Any) -> SubmitRun:
    spec = {
        "boot_file": "train.py",
        "framework": "mindspore-cpu",
        "flavor": "cpu",
        "inputs": {"data_url": {"dataset": "ada/digits"}, "pretrain_url": {"run": "latest ada/lenet5"}},
        "hyperparameters": {"epochs": 10, "lr": 0.1},
    }
    return SubmitRun.model_validate({"name": "lenet5", "spec": spec, "ref": "main"} | changes)


def finish(state: State, run: Run) -> Run:
    """The way to its end, as the other stages would go it."""
    assert run.spec is not None
    spec = run.spec
    job = Job(backend="aws_batch", id="j")
    seen = Observation(job_id="j", attempt=1, phase=JobPhase.SUCCEEDED, at=NOW)
    for change in (
        lambda known: lifecycle.admit(known, spec, SHA, FindingCount(), NOW),
        lambda known: lifecycle.submitted(known, job, NOW),
        lambda known: lifecycle.observe(known, seen),
    ):
        ended = state.table.change_run(run.id, change)
    assert ended is not None
    assert ended.state is RunState.SUCCEEDED
    return ended


def test_a_requested_run_is_stored(state: State, project: Repository, ada: AccessToken) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    assert state.table.run(run.id) == run
    assert (run.state, run.origin, run.requested_by, run.ref) == (RunState.REQUESTED, Origin.API, "ada", "main")
    assert run.reached(RunState.REQUESTED) == NOW
    assert [one.id for one in state.table.runs_of("ada/lenet5").rows] == [run.id]


def test_who_may_not(state: State, project: Repository, reader: AccessToken, stranger: AccessToken) -> None:
    for token, error in ((None, Unauthenticated), (reader, Forbidden), (stranger, NotFound)):
        with pytest.raises(error):
            submit_run(state, "ada/lenet5", token, wanted())
    public = {"visibility": Visibility.PUBLIC}
    state.table.change_repository("ada/lenet5", lambda known: known.model_copy(update=public))
    with pytest.raises(Forbidden):
        submit_run(state, "ada/lenet5", stranger, wanted())
    assert state.table.runs_of("ada/lenet5").rows == []


def test_a_member_may(state: State, stranger: AccessToken) -> None:
    state.table.create_repository(make_repository("ada/shared", members=["eve"]))
    assert submit_run(state, "ada/shared", stranger, wanted()).requested_by == "eve"


def test_only_projects_are_trained(state: State, ada: AccessToken) -> None:
    state.table.create_repository(make_repository("ada/digits", kind=RepositoryKind.DATASET))
    with pytest.raises(InvalidInput):
        submit_run(state, "ada/digits", ada, wanted())


def test_the_same_key_gives_the_same_run(state: State, project: Repository, ada: AccessToken) -> None:
    first = submit_run(state, "ada/lenet5", ada, wanted(idempotency_key="k"), NOW)
    second = submit_run(state, "ada/lenet5", ada, wanted(idempotency_key="k"), NOW + timedelta(minutes=1))
    assert second == first
    other = submit_run(state, "ada/lenet5", ada, wanted(idempotency_key="k2"), NOW)
    assert other.id != first.id
    with pytest.raises(Conflict):
        submit_run(state, "ada/lenet5", ada, wanted(idempotency_key="k", name="other"), NOW)
    assert len(state.table.runs_of("ada/lenet5").rows) == 2


def test_a_submission_that_died_half_way_is_completed(state: State, project: Repository, ada: AccessToken) -> None:
    first = submit_run(state, "ada/lenet5", ada, wanted(idempotency_key="k"), NOW)
    state.table.delete_run(first.id)
    assert submit_run(state, "ada/lenet5", ada, wanted(idempotency_key="k"), NOW).id == first.id


def test_without_a_key_each_call_is_a_run(state: State, project: Repository, ada: AccessToken) -> None:
    ids = {submit_run(state, "ada/lenet5", ada, wanted(), NOW).id for _ in range(2)}
    assert len(ids) == 2


def test_run_again_on_the_same_commit_and_revisions(state: State, project: Repository, ada: AccessToken) -> None:
    former = finish(state, submit_run(state, "ada/lenet5", ada, wanted(), NOW))
    pins = [
        PinnedInput(argument="data_url", source="dataset ada/digits", revision=OTHER, is_file=False, files=[]),
        PinnedInput(argument="pretrain_url", source="run run-0000000000000000000001", is_file=False, files=[]),
    ]
    assert former.spec is not None
    request = RunRequest(
        run_id=former.id, name="lenet5", project="ada/lenet5", commit=SHA, spec=former.spec, code_key="c", inputs=pins
    )
    state.objects.put(layout.request_key(former.id), request.model_dump_json().encode())
    again = rerun(state, former.id, ada, RunChanges(), NOW)
    assert again.id != former.id
    assert (again.origin, again.rerun_of, again.commit, again.ref) == (Origin.RERUN, former.id, SHA, "main")
    assert again.state is RunState.REQUESTED
    assert again.spec is not None
    assert again.spec.inputs["data_url"].revision == OTHER
    assert again.spec.inputs["pretrain_url"].run == "run-0000000000000000000001"
    assert again.spec.hyperparameters == {"epochs": 10, "lr": 0.1}


def test_run_again_with_changes(state: State, project: Repository, ada: AccessToken) -> None:
    former = finish(state, submit_run(state, "ada/lenet5", ada, wanted(), NOW))
    changes = RunChanges(
        name="longer", ref="dev", spec={"hyperparameters": {"epochs": 20, "lr": None}, "timeout": "4h", "inputs": {}}
    )
    again = rerun(state, former.id, ada, changes, NOW)
    assert (again.name, again.ref, again.commit) == ("longer", "dev", None)
    assert again.spec is not None
    assert again.spec.hyperparameters == {"epochs": 20}
    assert again.spec.timeout == timedelta(hours=4)
    assert set(again.spec.inputs) == {"data_url", "pretrain_url"}
    with pytest.raises(InvalidInput) as caught:
        rerun(state, former.id, ada, RunChanges(spec={"boot_file": "x.sh", "boot": 1}), NOW)
    assert {fault["field"] for fault in caught.value.details["fields"]} == {"spec.boot_file", "spec.boot"}


def test_a_run_that_was_never_understood_cannot_be_repeated(
    state: State, project: Repository, ada: AccessToken
) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    state.table.change_run(run.id, lambda known: known.model_copy(update={"spec": None}))
    with pytest.raises(Conflict):
        rerun(state, run.id, ada, RunChanges(), NOW)


def test_stop(state: State, project: Repository, ada: AccessToken, stranger: AccessToken) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    with pytest.raises(NotFound):
        stop_run(state, run.id, stranger)
    assert stop_run(state, run.id, ada, NOW).state is RunState.STOPPED
    assert stop_run(state, run.id, ada, NOW).state is RunState.STOPPED
    with pytest.raises(NotFound):
        stop_run(state, "run-unknown", ada)


def test_a_run_under_way_is_not_deleted(state: State, project: Repository, ada: AccessToken) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    with pytest.raises(Conflict) as caught:
        delete_run(state, run.id, ada)
    assert caught.value.code == "run_not_ended"
    assert state.table.runs_of("ada/lenet5").rows == [run]


def test_delete_removes_what_the_run_left_and_nothing_else(
    state: State, project: Repository, ada: AccessToken, stranger: AccessToken
) -> None:
    run = finish(state, submit_run(state, "ada/lenet5", ada, wanted(), NOW))
    state.objects.put(layout.output_prefix(run.id) + "a.ckpt", b"x")
    state.objects.put(layout.output_prefix(run.id + "x") + "a.ckpt", b"x")
    with pytest.raises(NotFound):
        delete_run(state, run.id, stranger)
    delete_run(state, run.id, ada)
    delete_run(state, run.id, ada)
    assert [entry.key for entry in state.objects.find("runs/")] == [layout.output_prefix(run.id + "x") + "a.ckpt"]
    assert state.table.runs_of("ada/lenet5").rows == []
    with pytest.raises(NotFound):
        rerun(state, run.id, ada, RunChanges())
    with pytest.raises(NotFound):
        stop_run(state, run.id, ada)


def test_the_spec_is_what_was_asked_for(state: State, project: Repository, ada: AccessToken) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    stored = state.table.run(run.id)
    assert stored is not None
    assert isinstance(stored.spec, RunSpec)
    assert stored.spec == wanted().spec


@pytest.mark.parametrize("key", [None, "k"])
def test_a_run_whose_row_is_lost_is_requested_again(
    state: State, project: Repository, ada: AccessToken, key: str | None
) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(idempotency_key=key), NOW)
    again = rerun(state, run.id, ada, RunChanges(name="again"), NOW)
    always = (NOW - timedelta(days=1), datetime.now(UTC) + timedelta(days=1))
    assert receive_lost_requests(state, *always, rows=[]) == 0
    for one in (run, again):
        state.table.delete_run(one.id)
    assert receive_lost_requests(state, *always, rows=[run_key(run.id)]) == 1
    assert receive_lost_requests(state, *always, rows=[], write=False) == 1
    assert receive_lost_requests(state, *always, rows=[]) == 1
    assert (state.table.run(run.id), state.table.run(again.id)) == (run, again)
    if key:
        assert submit_run(state, "ada/lenet5", ada, wanted(idempotency_key=key)).id == run.id


def test_what_is_kept_of_a_removed_project_makes_no_run(state: State, project: Repository, ada: AccessToken) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    state.table.delete_run(run.id)
    state.table.delete_repository("ada/lenet5")
    assert receive_lost_requests(state, NOW, datetime.now(UTC) + timedelta(days=1), rows=[]) == 0
    assert state.table.run(run.id) is None


def test_a_lost_run_that_was_admitted_stays_at_its_commit(state: State, project: Repository, ada: AccessToken) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    assert run.spec is not None
    request = RunRequest(run_id=run.id, name="lenet5", project="ada/lenet5", commit=SHA, spec=run.spec, code_key="c")
    state.objects.put(layout.request_key(run.id), request.model_dump_json().encode())
    state.table.delete_run(run.id)
    assert receive_lost_requests(state, NOW, datetime.now(UTC) + timedelta(days=1), rows=[]) == 1
    back = state.table.run(run.id)
    assert back is not None
    assert (run.commit, back.commit) == (None, SHA)
