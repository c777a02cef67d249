"""Every run that has neither begun nor ended says why, in both languages."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from batch_fixture import batch
from botocore.exceptions import ConnectTimeoutError
from builders import NOW, a_run
from hypothesis import given
from hypothesis import strategies as st

from trainyard.compute.batch_waiting import place_in_queue, why
from trainyard.compute.contract import ComputeBackend, JobRequest
from trainyard.model import lifecycle
from trainyard.model.money import Approval
from trainyard.model.run import Job, RunState
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
