"""ModelArts keeps the contract; the embedded stack's server plays ModelArts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contracts.compute.backend_contract import BackendContract
from modelarts_fixture import ENGINE, FLAVOR, backend

from trainyard.compute.contract import ComputeBackend, JobEnd, JobRequest, JobStatus
from trainyard.compute.modelarts.states import UNKNOWN_PHASE
from trainyard.model.lifecycle import JobPhase
from trainyard.model.run import Job


class TestModelArts(BackendContract):
    @pytest.fixture(autouse=True)
    def _served(self, tmp_path: Path) -> Iterator[None]:
        with backend(tmp_path) as (server, made, carriers):
            self.server, self.made, self.carriers = server, made, carriers
            yield

    def make(self) -> ComputeBackend:
        return self.made

    def request(self, run_id: str, program: str, **changes: Any) -> JobRequest:
        # What is deployed on Batch as a job definition is an engine here.
        version = "none" if changes.get("job_definition") == "none" else ENGINE
        return super().request(run_id, program, **{"instance": FLAVOR, "version": version, **changes})

    def was_stopped(self, status: JobStatus, reason: str) -> None:
        # ModelArts takes no reason.
        assert status.end is JobEnd.STOPPED

    def started(self, run_id: str, program: str = "sleep") -> tuple[Job, Any]:
        """The run's job, and the training job as the server has it, running."""
        job = self.made.submit(self.request(run_id, program))
        self.wait(self.made, job, lambda status: status.phase is JobPhase.RUNNING)
        return job, self.server.jobs.named_like(run_id)[0]

    def test_whatever_happens_there_is_one_training_job(self) -> None:
        job, _ = self.started("run-once")
        for _ in range(3):
            self.made.submit(self.request("run-once", "sleep"))
        assert self.made.describe(job) is not None
        assert len(self.server.jobs.named_like("run-once")) == 1

    def test_phases_come_in_their_order(self) -> None:
        job = self.made.submit(self.request("run-phases", "ok"))
        phases: list[JobPhase] = []
        self.wait(self.made, job, lambda status: phases.append(status.phase) or status.phase is JobPhase.SUCCEEDED)
        order = [JobPhase.QUEUED, JobPhase.STARTING, JobPhase.RUNNING, JobPhase.SUCCEEDED]
        assert phases == sorted(phases, key=order.index)

    def test_it_is_not_over_before_its_outputs_are_back(self) -> None:
        job = self.made.submit(self.request("run-home", "ok"))
        assert [one.run_id for one in self.carriers.submitted] == ["run-home"]
        status = self.ended(self.made, job)
        assert status.phase is JobPhase.SUCCEEDED
        assert [one.run_id for one in self.carriers.submitted] == ["run-home", "run-home-out"]

    def test_outputs_that_cannot_be_fetched_are_told(self) -> None:
        carry = self.carriers._carry

        def fail(request: JobRequest) -> None:
            if request.run_id.endswith("-out"):
                raise RuntimeError("OBS is away")
            carry(request)

        self.carriers._carry = fail
        status = self.ended(self.made, self.made.submit(self.request("run-nothome", "ok")))
        assert (status.phase, status.end, status.reason) == (JobPhase.FAILED, JobEnd.NOT_FETCHED, "OBS is away")

    def test_what_was_brought_for_nothing_is_removed_once(self) -> None:
        self.carriers._carry = lambda request: 1 / 0 if request.run_id == "run-vain" else None
        job = self.made.submit(self.request("run-vain", "ok"))
        assert self.ended(self.made, job).phase is JobPhase.FAILED
        self.made.attend(job)
        assert [one.run_id for one in self.carriers.submitted] == ["run-vain", "run-vain-clear"]

    def test_where_nothing_was_brought_nothing_is_removed(self) -> None:
        self.carriers._carry = lambda request: None
        job = self.made.submit(self.request("run-idle", "ok"))
        never = {"phase": JobPhase.FAILED, "end": JobEnd.STOPPED, "started_at": None}
        self.carriers.jobs["run-idle"] = self.carriers.jobs["run-idle"].model_copy(update=never)
        assert self.ended(self.made, job).end is JobEnd.STOPPED
        assert [one.run_id for one in self.carriers.submitted] == ["run-idle"]

    def test_looking_alone_begins_nothing(self) -> None:
        job = self.made.submit(self.request("run-look", "ok"))
        training = self.wait_for_training("run-look")
        while training.phase != "Completed":
            self.made.describe(job)
        status = self.made.describe(job)
        assert status is not None
        assert status.phase is JobPhase.RUNNING
        assert "run-look-out" not in self.carriers.jobs

    def wait_for_training(self, run_id: str) -> Any:
        import time

        deadline = time.monotonic() + 10
        while not self.server.jobs.named_like(run_id):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self.server.jobs.named_like(run_id)[0]

    def test_a_phase_that_nobody_knows_moves_nothing_and_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        job, training = self.started("run-odd")
        training.shown_as = ("Hibernating", "Asleep")
        with caplog.at_level(logging.ERROR):
            status = self.made.attend(job)
        assert status is not None
        assert (status.phase, status.end) == (JobPhase.QUEUED, None)
        assert UNKNOWN_PHASE in caplog.text
        assert "run-odd-out" not in self.carriers.jobs

    def test_a_lost_job_is_doubtful_and_may_come_back(self) -> None:
        job, training = self.started("run-lost")
        training.shown_as = ("Abnormal", "Lost")
        status = self.made.attend(job)
        assert status is not None
        assert (status.end, status.doubtful) == (JobEnd.HOST, True)
        training.shown_as = None
        status = self.made.attend(job)
        assert status is not None
        assert (status.phase, status.doubtful) == (JobPhase.RUNNING, False)

    def test_what_could_not_be_created_is_certain(self) -> None:
        job, training = self.started("run-broken")
        training.shown_as = ("Abnormal", "CreateFailed")
        status = self.made.describe(job)
        assert status is not None
        assert not status.doubtful

    def test_a_carrier_that_is_stopped_creates_nothing(self) -> None:
        blocked = self.carriers._carry
        self.carriers._carry = lambda request: None
        job = self.made.submit(self.request("run-early", "sleep"))
        self.carriers._carry = blocked
        self.carriers.jobs["run-early"] = self.carriers.jobs["run-early"].model_copy(update={"phase": JobPhase.RUNNING})
        self.made.stop(job, "stopped by demo")
        status = self.ended(self.made, job)
        assert status.end is JobEnd.STOPPED
        assert self.server.jobs.named_like("run-early") == []

    def test_the_log_is_read_while_it_runs(self) -> None:
        job, training = self.started("run-log")
        training.container.log.write_bytes("一 line\nsecond\nhalf a li".encode())
        assert self.made.live_log(job, 0) == "一 line\nsecond\n".encode()
        assert self.made.live_log(job, len("一 line\n".encode())) == b"second\n"
        assert self.made.live_log(job, 1 << 20) == b""
