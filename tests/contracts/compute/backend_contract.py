"""What every compute backend must do; each backend's test class inherits it and says how to make one."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from trainyard.compute.contract import ComputeBackend, JobEnd, JobRequest, JobStatus, SubmissionRefusedError
from trainyard.model.lifecycle import JobPhase
from trainyard.model.run import Job

WAIT_SECONDS = 30.0


class BackendContract(ABC):
    """`program` in the job's environment says what the job does: `ok`, `fail` (exit 3) or `sleep`."""

    @abstractmethod
    def make(self) -> ComputeBackend: ...

    def request(self, run_id: str, program: str, **changes: Any) -> JobRequest:
        values = {
            "run_id": run_id,
            "owner": "demo",
            "queue": "cpu",
            "job_definition": "cpu",
            "vcpus": 1,
            "memory_mib": 512,
            "timeout": timedelta(minutes=5),
            "environment": {"PROGRAM": program},
        }
        return JobRequest.model_validate({**values, **changes})

    def was_stopped(self, status: JobStatus, reason: str) -> None:
        """Where the backend keeps the reason, it tells it."""
        assert reason in status.reason

    def look(self, backend: ComputeBackend, job: Job) -> JobStatus | None:
        """As whoever is responsible for the backend's jobs looks at them."""
        return backend.attend(job)

    def wait(self, backend: ComputeBackend, job: Job, until: Callable[[JobStatus], bool]) -> JobStatus:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            status = self.look(backend, job)
            if status is not None and until(status):
                return status
            time.sleep(0.05)
        pytest.fail(f"not reached in {WAIT_SECONDS} s: {backend.describe(job)}")

    def ended(self, backend: ComputeBackend, job: Job) -> JobStatus:
        return self.wait(backend, job, lambda status: status.phase in (JobPhase.SUCCEEDED, JobPhase.FAILED))

    def test_a_job_runs_to_its_end(self) -> None:
        backend = self.make()
        job = backend.submit(self.request("run-ok", "ok"))
        assert job.backend == backend.name
        status = self.ended(backend, job)
        assert (status.phase, status.attempt, status.exit_code, status.end) == (JobPhase.SUCCEEDED, 1, 0, None)
        assert status.run_id == "run-ok"
        assert status.job == job

    def test_a_failed_script_is_told_apart(self) -> None:
        backend = self.make()
        status = self.ended(backend, backend.submit(self.request("run-fail", "fail")))
        assert (status.phase, status.end, status.exit_code) == (JobPhase.FAILED, JobEnd.SCRIPT, 3)

    def test_a_job_is_found_by_its_runs_id(self) -> None:
        backend = self.make()
        assert backend.find_by_name("run-find", "cpu") is None
        job = backend.submit(self.request("run-find", "ok"))
        backend.submit(self.request("run-find-2", "ok"))
        assert backend.find_by_name("run-find", "cpu") == job
        self.ended(backend, job)
        assert backend.find_by_name("run-find", "cpu") == job

    def test_of_two_jobs_of_one_run_the_older_is_found(self) -> None:
        backend = self.make()
        first = backend.submit(self.request("run-twice", "ok"))
        time.sleep(0.01)
        backend.submit(self.request("run-twice", "ok"))
        assert backend.find_by_name("run-twice", "cpu") == first

    def test_a_running_job_is_stopped(self) -> None:
        backend = self.make()
        job = backend.submit(self.request("run-stop", "sleep"))
        self.wait(backend, job, lambda status: status.phase is JobPhase.RUNNING)
        backend.stop(job, "stopped by demo")
        status = self.ended(backend, job)
        assert status.phase is JobPhase.FAILED
        self.was_stopped(status, "stopped by demo")

    def test_stopping_what_has_ended_is_silent(self) -> None:
        backend = self.make()
        job = backend.submit(self.request("run-late", "ok"))
        self.ended(backend, job)
        backend.stop(job, "too late")
        assert self.ended(backend, job).phase is JobPhase.SUCCEEDED

    def test_an_unknown_job_is_none(self) -> None:
        backend = self.make()
        assert backend.describe(Job(backend=backend.name, id="no-such-job")) is None

    def test_what_is_not_deployed_is_refused_with_words_for_the_user(self) -> None:
        backend = self.make()
        for change in ({"queue": "h100"}, {"job_definition": "none"}):
            with pytest.raises(SubmissionRefusedError) as refused:
                backend.submit(self.request("run-refused", "ok", **change))
            assert "operator" in refused.value.reason.en
            assert "管理员" in refused.value.reason.zh
