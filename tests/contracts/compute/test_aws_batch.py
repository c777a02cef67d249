"""AWS Batch keeps the contract; the embedded stack's server plays Batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from batch_fixture import batch
from contracts.compute.backend_contract import BackendContract

from trainyard.compute.aws_batch import AwsBatch, status_of
from trainyard.compute.contract import ComputeBackend, JobEnd
from trainyard.compute.registry import BACKENDS, backend


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

    def test_a_failing_script_is_not_retried(self) -> None:
        status = self.ended(self.made, self.made.submit(self.request("run-once", "fail", retries=3)))
        assert (status.attempt, status.end) == (1, JobEnd.SCRIPT)


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
