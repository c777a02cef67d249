from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.hosts.api_server import ApiServer
from contracts.hosts.host_contract import server  # noqa: F401
from unit.intake.conftest import make_repository

from trainyard.hosts.contract import HostUnavailableError
from trainyard.model import lifecycle
from trainyard.model.finding import FindingCount
from trainyard.model.money import Approval
from trainyard.model.run import EvaluationFacet, FacetState, FailureReason, Origin, Run, RunState
from trainyard.model.text import Text
from trainyard.reporting import statuses
from trainyard.reporting.statuses import report_run, status_of
from trainyard.store import State
from trainyard.store.secrets import host_token_name

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SHA = "a" * 40
DONE = FacetState.DONE


def make_run(**changes: Any) -> Run:
    known = Run(
        id="run-0123456789abcdefghjkmn",
        name="lenet5",
        project="ada/lenet5",
        origin=Origin.PUSH,
        requested_by="ada",
        commit=SHA,
        created_at=NOW,
        updated_at=NOW,
    )
    return known.model_copy(update=changes)


@pytest.fixture
def host(state: State, server: ApiServer) -> ApiServer:  # noqa: F811
    state.table.create_repository(make_repository(api_url=server.url))
    state.secrets.put(host_token_name("ada/lenet5"), "ada:s3cret")
    return server


def move(store: State, run: Run, /, **changes: Any) -> None:
    store.table.change_run(run.id, lambda known: known.model_copy(update=changes))


def told(host: ApiServer) -> list[tuple[str, str]]:
    return [(received.payload["state"], received.payload["description"]) for received in host.received]


def test_one_status_for_each_change(state: State, host: ApiServer) -> None:
    run = make_run(state=RunState.ADMITTED, findings=FindingCount(warnings=2))
    state.table.create_run(run)
    for _ in range(3):
        report_run(state, run.id, "one", NOW)
    move(state, run, state=RunState.RUNNING, attempt=1)
    report_run(state, run.id, "one", NOW)
    report_run(state, run.id, "one", NOW)
    assert told(host) == [("pending", "admitted, 2 warnings"), ("pending", "running, 2 warnings")]
    assert {received.payload["context"] for received in host.received} == {"trainyard/lenet5"}
    assert host.received[0].path == f"/repos/ada/lenet5/statuses/{SHA}"


def test_waiting_for_approval_is_told_and_then_its_end(state: State, host: ApiServer) -> None:
    held = Approval(reason=Text(en="It may cost 12 USD.", zh="费用 12 美元。"))
    run = make_run(state=RunState.ADMITTED, approval=held)
    state.table.create_run(run)
    report_run(state, run.id, "one", NOW)
    state.table.change_run(run.id, lambda known: lifecycle.approve(known, "boss", NOW))
    report_run(state, run.id, "one", NOW)
    assert told(host) == [("pending", "waits for approval: It may cost 12 USD."), ("pending", "admitted")]


def test_a_late_event_tells_the_present_state(state: State, host: ApiServer) -> None:
    run = make_run(state=RunState.FAILED, attempt=1)
    state.table.create_run(run)
    report_run(state, run.id, "one", NOW)
    report_run(state, run.id, "one", NOW)
    assert told(host) == [("failure", "failed")]


def test_the_last_word_is_the_present_state_although_another_was_faster(
    state: State, host: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(state=RunState.RUNNING, attempt=1)
    state.table.create_run(run)
    tell = statuses._tell

    def slow(repository: Any, token: str, known: Run) -> None:
        if known.state is RunState.RUNNING:
            # Meanwhile the run ends, and the other event's function tells so first.
            move(state, run, state=RunState.STOPPED)
            report_run(state, run.id, "two", NOW)
        tell(repository, token, known)

    monkeypatch.setattr(statuses, "_tell", slow)
    report_run(state, run.id, "one", NOW)
    assert told(host)[-1] == ("error", "stopped")


def test_the_verdict_is_told_after_the_end(state: State, host: ApiServer) -> None:
    run = make_run(state=RunState.SUCCEEDED, attempt=1)
    state.table.create_run(run)
    report_run(state, run.id, "one", NOW)
    facet = EvaluationFacet(state=DONE, verdict="passed", best={"accuracy": 0.98123, "loss": float("nan")})
    state.table.change_run(run.id, lambda known: lifecycle.evaluated(known, facet, NOW))
    report_run(state, run.id, "one", NOW)
    report_run(state, run.id, "one", NOW)
    assert told(host) == [
        ("pending", "trained, evaluation under way"),
        ("success", "evaluation passed: accuracy 0.9812, loss nan"),
    ]


@pytest.mark.parametrize(
    ("run", "state", "description"),
    [
        (make_run(state=RunState.REJECTED, findings=FindingCount(errors=1, warnings=2)), "error", "rejected: 1 error, 2 warnings"),
        (make_run(state=RunState.TIMED_OUT), "failure", "timed out"),
        (make_run(state=RunState.QUEUED, attempt=2), "pending", "queued (attempt 2)"),
        (make_run(state=RunState.SUCCEEDED, evaluation=EvaluationFacet(state=DONE, verdict="failed", best={"accuracy": 0.5})), "failure", "evaluation failed: accuracy 0.5"),
        (make_run(state=RunState.SUCCEEDED, evaluation=EvaluationFacet(state=DONE, verdict="not_required")), "success", "succeeded"),
        (make_run(state=RunState.SUCCEEDED, evaluation=EvaluationFacet(state=FacetState.FAILED)), "error", "trained, but the evaluation could not be made"),
        (make_run(state=RunState.FAILED, failure=FailureReason(kind="script", message=Text(en="KeyError:\n'x'", zh="错误"))), "failure", "failed: KeyError: 'x'"),
    ],
)  # fmt: skip
def test_in_one_line(run: Run, state: str, description: str) -> None:
    status = status_of(run)
    assert (status.state.value, status.description) == (state, description)


def test_a_long_reason_is_cut() -> None:
    reason = FailureReason(kind="script", message=Text(en="x" * 500, zh="x"))
    assert len(status_of(make_run(state=RunState.FAILED, failure=reason)).description) == 140


def test_nobody_to_tell(state: State, host: ApiServer) -> None:
    state.table.create_run(make_run(commit=None))
    report_run(state, make_run().id)
    report_run(state, "run-unknown")
    state.secrets.delete(host_token_name("ada/lenet5"))
    move(state, make_run(), commit=SHA)
    report_run(state, make_run().id)
    assert host.received == []


def test_a_refusal_is_not_tried_for_ever(state: State, host: ApiServer) -> None:
    state.table.create_run(make_run(state=RunState.RUNNING, attempt=1))
    host.answers = [(422, {})]
    report_run(state, make_run().id)
    report_run(state, make_run().id)
    assert len(host.received) == 1


def test_a_host_that_is_away_is_told_later(state: State, host: ApiServer) -> None:
    state.table.create_run(make_run(state=RunState.RUNNING, attempt=1))
    host.answers = [(503, {})] * 3
    with pytest.raises(HostUnavailableError):
        report_run(state, make_run().id)
    report_run(state, make_run().id)
    assert told(host)[-1] == ("pending", "running")
