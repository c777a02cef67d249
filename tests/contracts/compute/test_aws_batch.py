"""AWS Batch keeps the contract; the embedded stack's server plays Batch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from batch_fixture import batch
from contracts.compute.backend_contract import BackendContract
from hypothesis import given
from hypothesis import strategies as st

from trainyard.compute.aws_batch import AwsBatch, share_of, status_of
from trainyard.compute.contract import ComputeBackend, JobEnd, JobRequest, JobStatus
from trainyard.compute.registry import BACKENDS, backend
from trainyard.model.lifecycle import JobPhase
from trainyard.model.run import ChildCount, Job


class TestAwsBatch(BackendContract):
    @pytest.fixture(autouse=True)
    def _served(self, aws_credentials: None) -> Iterator[None]:
        with batch() as (server, made, _):
            self.server, self.made = server, made
            yield

    def make(self) -> ComputeBackend:
        return self.made

    def test_a_reclaimed_host_is_retried_as_often_as_the_user_said(self) -> None:
        job = self.made.submit(self.request("run-spot", "sleep", retries=1))
        self.wait(self.made, job, lambda status: status.phase.value == "running")
        self.server.reclaim(job.id)
        self.wait(self.made, job, lambda status: status.phase.value == "running" and status.attempt == 2)
        self.server.reclaim(job.id)
        status = self.ended(self.made, job)
        assert (status.attempt, status.end) == (2, JobEnd.HOST)

    def test_without_retries_nobody_pays_for_a_second_attempt(self) -> None:
        job = self.made.submit(self.request("run-spot-once", "sleep"))
        self.wait(self.made, job, lambda status: status.phase.value == "running")
        self.server.reclaim(job.id)
        status = self.ended(self.made, job)
        assert (status.attempt, status.end) == (1, JobEnd.HOST)

    def test_a_sweep_is_one_job_whose_children_are_counted_and_paid_for_together(self) -> None:
        job = self.made.submit(self.request("run-sweep", "ok", children=3))
        status = self.ended(self.made, job)
        assert (status.phase, status.attempt) == (JobPhase.SUCCEEDED, 1)
        assert status.children == ChildCount(total=3, succeeded=3)
        children = self.made.children_of(job, [0, 2, 7])
        assert [(child.child, child.phase) for child in children] == [(0, JobPhase.SUCCEEDED), (2, JobPhase.SUCCEEDED)]
        assert status.seconds > sum(child.seconds for child in children) > 0

    def test_a_sweep_fails_with_its_children(self) -> None:
        status = self.ended(self.made, self.made.submit(self.request("run-sweep", "fail", children=2)))
        assert (status.end, status.children) == (JobEnd.CHILDREN, ChildCount(total=2, failed=2))

    def test_a_sweep_runs_as_soon_as_one_of_its_children_does_and_is_stopped_as_a_whole(self) -> None:
        job = self.made.submit(self.request("run-sweep", "sleep", children=2))
        self.wait(self.made, job, lambda status: status.children == ChildCount(total=2, running=2))
        self.made.stop(job, "enough")
        status = self.ended(self.made, job)
        assert status.children == ChildCount(total=2, failed=2)

    def nodes(self, program: str, **changes: Any) -> JobRequest:
        place = {"queue": "cpu-nodes", "job_definition": "cpu-nodes", "nodes": 2}
        return self.request("run-nodes", program, **place, **changes)

    def test_several_machines_are_one_job_and_all_are_paid_for(self) -> None:
        job = self.made.submit(self.nodes("ok"))
        status = self.ended(self.made, job)
        assert (status.phase, status.attempt, status.run_id) == (JobPhase.SUCCEEDED, 1, "run-nodes")
        (first,) = self.made.nodes_of(job, [0])
        assert (first.node, first.phase) == (0, JobPhase.SUCCEEDED)
        assert status.seconds == pytest.approx(2 * first.seconds)
        assert self.made.find_by_name("run-nodes", "cpu-nodes") == job
        assert [each.node for each in self.made.nodes_of(job, [1, 2])] == [1]

    def test_several_machines_are_stopped_as_a_whole(self) -> None:
        job = self.made.submit(self.nodes("sleep"))
        self.wait(self.made, job, lambda status: status.phase is JobPhase.RUNNING)
        self.made.stop(job, "enough")
        assert self.ended(self.made, job).reason == "enough"
        deadline = time.monotonic() + 10
        while {each.phase for each in self.made.nodes_of(job, [0, 1])} != {JobPhase.FAILED}:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_a_lost_machine_of_several_is_told_and_leaves_the_others_running(self) -> None:
        job = self.made.submit(self.nodes("sleep", retries=1))

        def both_run(_status: JobStatus) -> bool:
            return [each.phase for each in self.made.nodes_of(job, [0, 1])] == [JobPhase.RUNNING] * 2

        self.wait(self.made, job, both_run)
        self.server.reclaim(f"{job.id}#1")
        self.wait(self.made, job, lambda _: self.made.nodes_of(job, [1])[0].phase is JobPhase.FAILED)
        (lost,) = self.made.nodes_of(job, [1])
        assert (lost.end, lost.attempt, lost.node) == (JobEnd.HOST, 1, 1)
        whole = self.made.describe(job)
        assert whole is not None
        assert (whole.phase, whole.attempt) == (JobPhase.RUNNING, 1)
        self.made.stop(job, "enough")
        self.ended(self.made, job)

    def test_the_whole_is_tried_again_where_the_main_machine_says_that_another_was_lost(self) -> None:
        status = self.ended(self.made, self.made.submit(self.nodes("lost", retries=1)))
        assert (status.attempt, status.end, status.exit_code) == (2, JobEnd.SCRIPT, 75)
        status = self.ended(self.made, self.made.submit(self.nodes("fail", retries=1)))
        assert (status.attempt, status.end, status.exit_code) == (1, JobEnd.SCRIPT, 3)

    def test_of_one_machine_no_exit_code_means_that(self) -> None:
        status = self.ended(self.made, self.made.submit(self.request("run-75", "lost", retries=1)))
        assert (status.attempt, status.exit_code) == (1, 75)

    def test_what_has_not_ended_is_listed(self) -> None:
        ended = self.made.submit(self.request("run-over", "ok"))
        self.ended(self.made, ended)
        job = self.made.submit(self.request("run-on", "sleep"))
        (standing,) = self.made.standing_jobs()
        assert (standing.job, standing.run_id) == (job, "run-on")
        assert abs(standing.created_at.timestamp() - time.time()) < 60

    def test_a_look_at_what_stands_is_one_call_for_a_quiet_queue_and_complete_for_a_busy_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with batch() as (_, made, client):
            made.submit(self.request("run-over", "ok"))
            jobs = {made.submit(self.request(f"run-{number}", "sleep")).id for number in range(5)}
            asked: list[dict[str, Any]] = []
            client.meta.events.register(
                "before-parameter-build.batch.ListJobs", lambda params, **_: asked.append(params)
            )
            deadline = time.monotonic() + 10
            while {standing.job.id for standing in made.standing_jobs()} != jobs:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            asked.clear()
            list(made.standing_jobs())
            assert len(asked) == 4  # queues
            monkeypatch.setattr("infra.local.batch.paging.MOST_PER_PAGE", 2)
            asked.clear()
            assert {standing.job.id for standing in made.standing_jobs()} == jobs
            assert len(asked) == 4 + 5

    def test_a_failing_script_is_not_retried(self) -> None:
        status = self.ended(self.made, self.made.submit(self.request("run-once", "fail", retries=3)))
        assert (status.attempt, status.end) == (1, JobEnd.SCRIPT)


class TestWaiting:
    """What the embedded Batch says of a job that cannot start, and what becomes of it."""

    @pytest.fixture(autouse=True)
    def _served(self, aws_credentials: None) -> Iterator[None]:
        self.events: list[dict[str, Any]] = []
        # 600 of Batch's seconds, the shortest limit of a queue, in 0.6 of ours.
        with batch(second=0.001, on_event=self.events.append) as (server, made, _):
            self.server, self.made = server, made
            yield

    def look(self, job: Job) -> JobStatus:
        status = self.made.describe(job)
        assert status is not None
        return status

    def wait_for(self, job: Job, until: Callable[[JobStatus], bool]) -> JobStatus:
        deadline = time.monotonic() + 20
        while not until(status := self.look(job)):
            assert time.monotonic() < deadline, status
            time.sleep(0.02)
        return status

    def explained(self, status: JobStatus) -> str:
        why = self.made.explain(status)
        assert why is not None
        assert why.zh
        return why.en

    def test_a_full_queue_tells_the_place_in_it(self) -> None:
        for number in range(4):
            job = self.made.submit(request(f"run-{number}", program="sleep", timeout=timedelta(days=9)))
            self.wait_for(job, lambda status: status.phase is JobPhase.RUNNING)
        waiting = [self.made.submit(request(f"run-wait-{number}")) for number in range(3)]
        for job in waiting:
            self.wait_for(job, lambda status: status.waiting is not None and bool(self.snapshot()))
        self.wait_for(waiting[2], lambda _: len(self.snapshot()) == 3)
        told = [self.explained(self.look(job)) for job in waiting]
        assert told[0].startswith("It is next")
        assert told[1].startswith("1 job starts before it")
        assert told[2].startswith("2 jobs start before it")

    def snapshot(self) -> list[Any]:
        answer = self.made._batch.get_job_queue_snapshot(jobQueue="cpu")
        return list(answer["frontOfQueue"]["jobs"])

    def test_no_capacity_blocks_the_queue_says_so_and_ends(self) -> None:
        self.server.starve("cpu")
        job = self.made.submit(request("run-starved"))
        status = self.wait_for(job, lambda status: bool(status.reason) or status.end is not None)
        if status.end is None:
            assert "AWS has no free" in self.explained(status)
        status = self.wait_for(job, lambda status: status.end is not None)
        assert (status.end, status.seconds) == (JobEnd.NO_CAPACITY, 0)
        blocked = next(event for event in self.events if event["detail-type"] == "Batch Job Queue Blocked")
        heard = status_of(blocked["detail"])
        assert heard.phase is JobPhase.QUEUED
        assert "AWS has no free machine" in self.explained(heard)

    def test_a_job_that_no_machine_can_carry_is_told_and_ended(self) -> None:
        job = self.made.submit(request("run-large", vcpus=64))
        status = self.wait_for(job, lambda status: status.end is not None)
        assert status.end is JobEnd.IMPOSSIBLE

    def test_capacity_that_comes_back_starts_what_waits(self) -> None:
        with batch() as (server, made, _):
            self.server, self.made = server, made
            server.starve("cpu")
            job = made.submit(request("run-patient"))
            self.wait_for(job, lambda status: bool(status.reason))
            server.starve("cpu", starved=False)
            assert self.wait_for(job, lambda status: status.phase is JobPhase.SUCCEEDED).end is None


def request(run_id: str, program: str = "ok", **changes: Any) -> JobRequest:
    values = {
        "run_id": run_id, "owner": "demo", "queue": "cpu", "job_definition": "cpu", "vcpus": 1, "memory_mib": 512,
        "timeout": timedelta(minutes=5), "environment": {"PROGRAM": program},
    }  # fmt: skip
    return JobRequest.model_validate({**values, **changes})


@given(st.text(max_size=60), st.text(max_size=60))
def test_shares_of_owners_are_told_apart_and_batch_takes_them(one: str, other: str) -> None:
    for owner in (one, other):
        assert re.fullmatch(r"[A-Za-z0-9]{0,255}", share_of(owner))
    if one != other:
        assert share_of(one) != share_of(other)


def test_seconds_of_all_attempts_are_counted() -> None:
    attempts = [
        {"container": {}, "startedAt": 1000, "stoppedAt": 61_000},
        {"container": {}, "stoppedAt": 70_000},
        {"container": {"exitCode": 0}, "startedAt": 100_000, "stoppedAt": 130_500},
    ]
    detail = {"jobId": "job-1", "jobName": "run-1", "jobQueue": "arn:q", "status": "SUCCEEDED", "attempts": attempts}
    assert status_of(detail).seconds == 90.5


def test_the_registry_names_every_backend_by_its_name() -> None:
    for name in BACKENDS:
        assert backend(name).name == name
    assert isinstance(backend("aws_batch"), AwsBatch)


@pytest.mark.parametrize(
    ("reason", "exit_code", "end"),
    [
        ("Job attempt duration exceeded timeout", 137, JobEnd.TIMED_OUT),
        ("Host EC2 (instance i-1) terminated.", None, JobEnd.HOST),
        ("Essential container in task exited", 1, JobEnd.SCRIPT),
        ("Task failed to start", None, JobEnd.SETUP),
    ],
)
def test_batchs_sentences_are_understood(reason: str, exit_code: int | None, end: JobEnd) -> None:
    container = {"exitCode": exit_code} if exit_code is not None else {}
    detail = {
        "jobId": "job-1", "jobName": "run-1", "jobQueue": "arn:q", "status": "FAILED", "statusReason": reason,
        "attempts": [{"container": container}],
    }  # fmt: skip
    assert status_of(detail).end is end


def test_out_of_memory_is_told_apart() -> None:
    attempt = {"container": {"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}}
    detail = {
        "jobId": "job-1", "jobName": "run-1", "jobQueue": "arn:q", "status": "FAILED",
        "statusReason": "Essential container in task exited", "attempts": [attempt],
    }  # fmt: skip
    assert status_of(detail).end is JobEnd.OUT_OF_MEMORY
