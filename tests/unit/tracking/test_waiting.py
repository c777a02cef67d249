"""Every run that has neither begun nor ended says why, in both languages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from batch_fixture import batch
from botocore.exceptions import ConnectTimeoutError
from builders import NOW, a_run, a_spec
from hypothesis import given
from hypothesis import strategies as st

from infra.local.batch import lifecycle as lifecycle_of_batch
from trainyard.compute.batch_waiting import NO_CAPACITY, UNDETERMINED, is_blocked, place_in_queue, why
from trainyard.compute.contract import ComputeBackend, JobRequest
from trainyard.model import lifecycle
from trainyard.model.lifecycle import JobPhase
from trainyard.model.money import Approval
from trainyard.model.run import Job, RunState
from trainyard.model.spec import Machines
from trainyard.model.text import Text
from trainyard.model.waiting import waiting
from trainyard.store import State
from trainyard.tracking.sweep import sweep_runs
from trainyard.tracking.waiting import why_waiting

JOB = Job(backend="aws_batch", id="job-1", queue="arn:q")


@pytest.mark.parametrize("state", list(RunState))
def test_who_has_to_say_why(state: RunState) -> None:
    told = waiting(a_run(state=state))
    assert (told is not None) == (not state.is_final and state is not RunState.RUNNING)
    if told is not None:
        assert told.en.endswith(".")
        assert told.zh.endswith("。")


def test_what_waits_for_approval_says_who_can_give_it() -> None:
    reason = Text(en="It may cost 12 USD. An operator can approve it.", zh="请管理员批准。")
    run = a_run(state=RunState.ADMITTED, approval=Approval(reason=reason), waiting=reason)
    assert waiting(run) == reason


def test_a_stop_on_its_way_is_told() -> None:
    run = lifecycle.request_stop(a_run(state=RunState.QUEUED, job=JOB, waiting=None), "ada", NOW)
    told = waiting(run)
    assert told is not None
    assert "ada asked for it to stop" in told.en


@given(st.text(max_size=400))
def test_whatever_batch_says_becomes_a_sentence(reason: str) -> None:
    told = why(reason)
    assert told.en
    assert told.zh
    assert len(told.en) < 400


@pytest.mark.parametrize(
    ("reason", "machines", "says", "changes"),
    [
        (f"{NO_CAPACITY} - Service cannot", Machines.ON_DEMAND, "no free machine", "`machines: spot`, may"),
        (f"{NO_CAPACITY} - Service cannot", Machines.SPOT, "no free spot machine", "`machines: spot_first`"),
        (f"{NO_CAPACITY} - Service cannot", Machines.SPOT_FIRST, "no free spot machine", "by itself"),
        (
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) a",
            Machines.SPOT,
            "large enough",
            "smaller flavor",
        ),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job", Machines.SPOT, "large enough", "smaller flavor"),
        (UNDETERMINED + " - Batch job is blocked", Machines.ON_DEMAND, "quota", "operator"),
        ("CAPACITY:EC2 - VcpuLimitExceeded: You have requested more vCPU", Machines.SPOT, "quota", "operator"),
        ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - Batch cannot", Machines.SPOT, "SERVICE_ROLE", "operator"),
        ("ACTION_REQUIRED - CE(s) associated with the job queue are INVALID.", Machines.SPOT, "INVALID", "operator"),
        ("", Machines.ON_DEMAND, "Waiting for a machine", "as soon as it can"),
        # Of the attempt before: nothing holds up the queue.
        ("Host EC2 (instance i-1) terminated.", Machines.ON_DEMAND, "Waiting for a machine", "as soon as it can"),
    ],
)
def test_each_reason_of_batch_and_what_would_change_it(
    reason: str, machines: Machines, says: str, changes: str
) -> None:
    told = why(reason, machines)
    assert says in told.en
    assert changes in told.en
    assert told.zh.endswith("。")
    assert is_blocked(reason) == (reason[:4].isupper())


@pytest.fixture
def blocked(state: State) -> Iterator[tuple[State, Any, Any, Any]]:
    """A run whose job holds up its queue for a reason that no time limit of the queue knows."""
    # Longer than any wait here: one of Batch's seconds is as long as one of ours.
    with batch() as (server, backend, client):
        server.starve("cpu", reason=lifecycle_of_batch.UNDETERMINED)
        yield state, backend, server, client


@pytest.mark.parametrize(
    ("machines", "limit"), [(Machines.ON_DEMAND, 86_400), (Machines.SPOT, 86_400), (Machines.SPOT_FIRST, 1800)]
)
def test_a_job_that_batch_would_let_wait_for_ever_is_ended_or_falls_back(
    blocked: tuple[State, Any, Any, Any], machines: Machines, limit: int
) -> None:
    state, backend, _, _ = blocked
    job = backend.submit(request("run-1", "ok").model_copy(update={"machines": machines}))
    state.table.create_run(a_run(state=RunState.QUEUED, job=job, attempt=1, spec=a_spec(machines=machines)))
    deadline = time.monotonic() + 20
    while not backend.describe(job).blocked:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for seconds in (0, limit):
        sweep_runs(state, lambda _: backend, NOW + timedelta(seconds=seconds))
        run = state.table.run("run-1")
        assert run is not None
        assert (run.state, run.job, run.blocked_at) == (RunState.QUEUED, job, NOW)
        assert run.waiting is not None
        assert "quota" in run.waiting.en
    for minutes in (11, 12):
        sweep_runs(state, lambda _: backend, NOW + timedelta(seconds=limit, minutes=minutes))
    run = state.table.run("run-1")
    assert run is not None
    if machines is Machines.SPOT_FIRST:
        assert (run.state, run.job, run.blocked_at) == (RunState.QUEUED, None, None)
        assert run.awaits_submission
        assert run.machines is Machines.ON_DEMAND
        return
    assert run.failure is not None
    assert (run.state, run.failure.kind) == (RunState.FAILED, "capacity")
    assert "nothing was charged" in run.failure.message.en
    assert "未产生费用" in run.failure.message.zh


def test_what_starts_meanwhile_is_not_ended(blocked: tuple[State, Any, Any, Any]) -> None:
    _, backend, server, client = blocked
    job = backend.submit(request("run-1", "sleep"))
    deadline = time.monotonic() + 20
    while not (seen := backend.describe(job)).blocked:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.starve("cpu", starved=False)
    while (now := backend.describe(job)).phase is not JobPhase.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    backend.give_up_waiting(seen)
    (detail,) = client.describe_jobs(jobs=[job.id])["jobs"]
    assert (detail["status"], detail.get("isTerminated"), now.blocked) == ("RUNNING", False, False)
    backend.stop(job, "enough")


@given(st.none() | st.integers(0, 99))
def test_every_place_in_the_queue_is_told(before: int | None) -> None:
    told = place_in_queue(before)
    assert told.en.endswith(".")
    assert told.zh.endswith("。")


def request(run_id: str, program: str) -> JobRequest:
    return JobRequest(
        run_id=run_id, owner="demo", queue="cpu", job_definition="cpu", vcpus=4, memory_mib=512,
        timeout=timedelta(minutes=5), environment={"PROGRAM": program},
    )  # fmt: skip


def test_the_queue_is_asked_and_the_sweep_writes_it_down(state: State) -> None:
    with batch() as (_, backend, client):
        jobs = [backend.submit(request(f"run-{number}", "sleep")) for number in range(3)]
        deadline = time.monotonic() + 20
        while len(client.get_job_queue_snapshot(jobQueue="cpu")["frontOfQueue"]["jobs"]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        state.table.create_run(a_run("run-2", state=RunState.QUEUED, job=jobs[2], attempt=1))
        run = state.table.run("run-2")
        assert run is not None
        told = why_waiting(run, lambda _: backend)
        assert told is not None
        assert told.en.startswith("1 job starts before it")
        assert sweep_runs(state, lambda _: backend, NOW).moved == 0
        after = state.table.run("run-2")
        assert after is not None
        assert after.waiting == told
        assert sweep_runs(state, lambda _: backend, NOW).moved == 0
        assert state.table.run("run-2") == after


def test_a_queue_that_does_not_answer_leaves_what_was_known() -> None:
    class Silent(ComputeBackend):
        name = "aws_batch"

        def describe(self, job: Job) -> Any:
            raise ConnectTimeoutError(endpoint_url="https://batch")

        def submit(self, request: Any) -> Any: ...

        def find_by_name(self, *_: Any) -> Any: ...

        def stop(self, job: Job, reason: str) -> None: ...

    known = Text(en="AWS has no free machine.", zh="没有空闲机器。")
    run = a_run(state=RunState.QUEUED, job=JOB, waiting=known)
    assert why_waiting(run, lambda _: Silent()) == known
