"""One run, one job, whatever happens on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from batch_fixture import batch
from builders import NOW, a_run

from trainyard.compute.contract import ComputeBackend, JobRequest, JobStatus
from trainyard.model import lifecycle
from trainyard.model.lifecycle import JobPhase
from trainyard.model.money import Approval
from trainyard.model.run import Fallback, Job, RunState
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.submission.submit import LEASE, ClaimedElsewhereError, stop_run, submit_run
from trainyard.tracking.track import track_job

RUN = "run-1"


class Yard:
    """State, a Batch, and what was submitted to it."""

    def __init__(self, state: State, backend: ComputeBackend, client: Any) -> None:
        self.state, self.backend, self.client = state, backend, client
        state.table.create_run(a_run(RUN, state=RunState.ADMITTED, spec={**a_run().spec.model_dump(), "flavor": "cpu"}))  # type: ignore[union-attr]

    def submit(self, token: str = "one", at: datetime = NOW, backend: ComputeBackend | None = None) -> Any:
        return submit_run(self.state, RUN, token, lambda _: backend or self.backend, at)

    def stop(self, token: str = "stop", at: datetime = NOW) -> Any:
        return stop_run(self.state, RUN, token, lambda _: self.backend, at)

    def wish_stop(self) -> None:
        self.state.table.change_run(RUN, lambda run: lifecycle.request_stop(run, "demo", NOW))

    def jobs(self) -> list[Any]:
        filters = [{"name": "JOB_NAME", "values": ["run-*"]}]
        return list(self.client.list_jobs(jobQueue="cpu", filters=filters)["jobSummaryList"])


@pytest.fixture
def yard(state: State) -> Iterator[Yard]:
    with batch() as (_, backend, client):
        yield Yard(state, backend, client)


def test_an_admitted_run_is_queued(yard: Yard) -> None:
    run = yard.submit()
    assert (run.state, run.attempt, run.claim) == (RunState.QUEUED, 1, None)
    assert [job["jobId"] for job in yard.jobs()] == [run.job.id]


def test_a_repeated_event_submits_nothing(yard: Yard) -> None:
    first = yard.submit("one")
    assert yard.submit("one") == first
    assert yard.submit("two") == first
    assert len(yard.jobs()) == 1


def test_a_lost_answer_is_looked_up(yard: Yard) -> None:
    class AnswerLost(type(yard.backend)):  # type: ignore[misc]
        def submit(self, request: JobRequest) -> Job:
            super().submit(request)
            raise TimeoutError

    with pytest.raises(TimeoutError):
        yard.submit("one", backend=AnswerLost(yard.client, yard.backend._known))  # type: ignore[attr-defined]
    assert yard.submit("one").state is RunState.QUEUED
    assert len(yard.jobs()) == 1


def test_two_deliveries_at_once_do_not_both_submit(yard: Yard) -> None:
    yard.state.table.change_run(RUN, lambda run: lifecycle.claim_submission(run, "other", NOW, LEASE))
    with pytest.raises(ClaimedElsewhereError):
        yard.submit("one", NOW + timedelta(seconds=1))
    assert yard.jobs() == []
    assert yard.submit("one", NOW + LEASE).state is RunState.QUEUED
    assert len(yard.jobs()) == 1


def test_a_stop_before_the_submission_makes_no_job(yard: Yard) -> None:
    yard.wish_stop()
    assert yard.submit().state is RunState.STOPPED
    assert yard.jobs() == []


def test_a_stop_while_it_is_claimed_makes_no_job(yard: Yard) -> None:
    yard.state.table.change_run(RUN, lambda run: lifecycle.claim_submission(run, "dead", NOW, LEASE))
    yard.wish_stop()
    with pytest.raises(ClaimedElsewhereError):
        yard.stop()
    assert yard.stop(at=NOW + LEASE).state is RunState.STOPPED
    assert yard.jobs() == []


def test_a_stop_reaches_a_job_nobody_had_heard_of(yard: Yard) -> None:
    """The function died between submitting and saying so, then a stop was asked for."""
    yard.state.table.change_run(RUN, lambda run: lifecycle.claim_submission(run, "dead", NOW, LEASE))
    run = yard.state.table.run(RUN)
    job = yard.backend.submit(
        JobRequest(
            run_id=RUN, owner="demo", queue="cpu", job_definition="cpu", vcpus=1, memory_mib=512,
            timeout=timedelta(minutes=5), environment={"PROGRAM": "sleep"},
        )
    )  # fmt: skip
    assert run is not None
    yard.wish_stop()
    yard.stop(at=NOW + LEASE)
    described = yard.client.describe_jobs(jobs=[job.id])["jobs"][0]
    assert described.get("isTerminated") or described["status"] == "FAILED"


def test_a_refusal_ends_the_run_with_a_reason(yard: Yard) -> None:
    spec = {**a_run().spec.model_dump(), "flavor": "cpu"}  # type: ignore[union-attr]
    yard.state.table.create_run(a_run("run-2", state=RunState.ADMITTED, spec=spec))
    yard.client.update_job_queue(jobQueue="cpu", state="DISABLED")
    run = submit_run(yard.state, "run-2", "one", lambda _: yard.backend, NOW)
    assert run is not None
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert run.failure.kind == "platform"


def test_what_is_not_admitted_is_left_alone(yard: Yard) -> None:
    yard.state.table.create_run(a_run("run-3", state=RunState.REJECTED))
    run = submit_run(yard.state, "run-3", "one", lambda _: yard.backend, NOW)
    assert run is not None
    assert run.version == 0
    assert submit_run(yard.state, "run-9", "one", lambda _: yard.backend, NOW) is None
    assert yard.jobs() == []


def test_what_waits_for_approval_is_not_submitted(yard: Yard) -> None:
    held = Approval(reason=Text(en="too much", zh="超出"))
    yard.state.table.change_run(RUN, lambda run: run.model_copy(update={"approval": held}))
    assert yard.submit().state is RunState.ADMITTED
    assert yard.jobs() == []
    yard.state.table.change_run(RUN, lambda run: lifecycle.approve(run, "boss", NOW))
    assert yard.submit().state is RunState.QUEUED
    assert len(yard.jobs()) == 1


def test_no_spot_machine_means_an_on_demand_one(state: State) -> None:
    """From the queue's time limit to the second job: 600 of Batch's seconds in 0.6 of ours."""
    with batch(second=0.001) as (server, backend, client):
        yard = Yard(state, backend, client)
        spec = {**a_run().spec.model_dump(), "flavor": "cpu-small", "machines": "spot_first"}  # type: ignore[union-attr]
        state.table.create_run(a_run("run-2", state=RunState.ADMITTED, spec=spec))
        server.starve("cpu")
        first = submit_run(state, "run-2", "one", lambda _: yard.backend, NOW)
        assert first is not None
        assert first.job is not None
        assert first.job.queue.endswith("/cpu-spotfirst")
        status = wait_for_the_end(backend, first.job)
        fallen = track_job(state, status, NOW)
        assert fallen is not None
        assert fallen.awaits_submission
        server.starve("cpu", starved=False)
        for token in ("two", "two", "three"):
            second = submit_run(state, "run-2", token, lambda _: yard.backend, NOW)
        assert second is not None
        assert second.job is not None
        assert (second.state, second.job.queue.endswith("/cpu")) == (RunState.QUEUED, True)
        ended = track_job(state, wait_for_the_end(backend, second.job), NOW)
        assert ended is not None
        assert ended.state is RunState.SUCCEEDED
        assert ended.cost is not None
        assert ended.cost.seconds > 0
        assert track_job(state, status, NOW) == ended


def test_a_stop_while_it_falls_back_submits_nothing(yard: Yard) -> None:
    gone = Fallback(job_id="job-1", at=NOW)
    change = {"state": RunState.QUEUED, "attempt": 1, "fallback": gone}
    yard.state.table.change_run(RUN, lambda run: run.model_copy(update=change))
    yard.wish_stop()
    assert yard.submit().state is RunState.STOPPED
    assert yard.jobs() == []


def wait_for_the_end(backend: ComputeBackend, job: Job) -> JobStatus:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status = backend.describe(job)
        if status is not None and status.phase in (JobPhase.SUCCEEDED, JobPhase.FAILED):
            return status
        time.sleep(0.02)
    pytest.fail(f"{job.id} did not end")


def test_a_run_with_its_own_image_has_the_job_definition_of_all_such_runs(state: State) -> None:
    with batch() as (_, backend, client):
        yard = Yard(state, backend, client)
        own = {"framework": "", "image": "ghcr.io/team/train:v1@sha256:" + "0" * 64}
        state.table.change_run(RUN, lambda run: run.model_copy(update={"spec": run.spec.model_copy(update=own)}))  # type: ignore[union-attr]
        run = yard.submit()
        assert run.state is RunState.FAILED, "this installation has none"
        assert "'image'" in run.failure.message.en
