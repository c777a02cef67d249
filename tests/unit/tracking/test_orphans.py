"""Jobs that nobody waits for are ended; those whose run was only lost are not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from builders import NOW, a_run
from unit.tracking.test_track import StandIn

from trainyard.compute.contract import StandingJob
from trainyard.model.run import Job, RunState
from trainyard.store import State
from trainyard.store.layout import request_key
from trainyard.tracking.orphans import OLD_ENOUGH, Orphans, mend_orphans

JOB = Job(backend="aws_batch", id="job-1", queue="arn:q")
LATER = NOW + OLD_ENOUGH + timedelta(seconds=1)


class Listing(StandIn):
    """Says that one job goes on until it is stopped."""

    def __init__(self, name: str = "run-1") -> None:
        super().__init__(None)
        self.jobs = [StandingJob(JOB, name, NOW)]

    def standing_jobs(self) -> Iterator[StandingJob]:
        return iter(self.jobs)

    def stop(self, job: Job, reason: str) -> None:
        assert reason
        self.jobs = [one for one in self.jobs if one.job != job]


def look(state: State, backend: Listing, at: Any = LATER) -> Orphans:
    return mend_orphans(state, backend, at)


def test_a_job_that_no_run_asked_for_is_ended(state: State) -> None:
    backend = Listing()
    assert look(state, backend, NOW + OLD_ENOUGH) == Orphans()
    assert look(state, backend) == Orphans(stopped=1)
    assert backend.jobs == []


def test_a_job_whose_run_was_lost_goes_on_and_is_told_of(state: State, caplog: pytest.LogCaptureFixture) -> None:
    state.objects.put(request_key("run-1"), b"{}")
    backend = Listing()
    assert look(state, backend) == Orphans(lost=1)
    assert len(backend.jobs) == 1
    assert "a job's run is lost" in caplog.text


@pytest.mark.parametrize(
    ("changes", "name", "stopped"),
    [
        ({"state": RunState.RUNNING}, "run-1", 0),
        ({"state": RunState.STOPPED}, "run-1", 1),
        ({"state": RunState.STOPPED, "updated_at": LATER}, "run-1", 0),
        # It brings home what a training on Ascend left, or clears up behind it.
        ({"state": RunState.STOPPED}, "run-1-out", 0),
        ({"state": RunState.STOPPED}, "run-1-clear", 0),
    ],
)
def test_a_job_lasts_as_long_as_its_run(state: State, changes: dict[str, Any], name: str, stopped: int) -> None:
    state.table.create_run(a_run(**changes))
    backend = Listing(name)
    assert look(state, backend) == Orphans(stopped=stopped)
    assert len(backend.jobs) == 1 - stopped
