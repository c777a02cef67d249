"""Jobs that go on although nobody waits for them: their run has ended, or there is none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from aws_lambda_powertools import Logger

from trainyard.compute.contract import ComputeBackend, StandingJob
from trainyard.compute.modelarts.backend import run_of_carrier
from trainyard.store import State, layout

logger = Logger()
# Longer than a submission takes, or a job to leave after its end was heard of.
OLD_ENOUGH = timedelta(minutes=10)


@dataclass
class Orphans:
    """What one look found."""

    stopped: int = 0
    """Jobs that were ended."""
    lost: int = 0
    """Jobs whose run's row is gone although the run was asked for: `trainyard replay` brings it back."""


def mend_orphans(state: State, backend: ComputeBackend, at: datetime) -> Orphans:
    """Look at every job of the backend that has not ended, and end what nobody can want.

    What was asked for and admitted goes on: it is only the row that is missing, and a training may be days old.
    """
    found = Orphans()
    for standing in backend.standing_jobs():
        if at - standing.created_at > OLD_ENOUGH:
            _look(state, backend, standing, at, found)
    return found


def _look(state: State, backend: ComputeBackend, standing: StandingJob, at: datetime, found: Orphans) -> None:
    run_id = run_of_carrier(standing.run_id)
    run = state.table.run(run_id)
    if run is None and state.objects.size(layout.request_key(run_id)) is not None:
        found.lost += 1
        logger.error("a job's run is lost", extra={"run_id": run_id, "job": standing.job.id})
        return
    if run is None or (run.state.is_final and at - run.updated_at > OLD_ENOUGH and run_id == standing.run_id):
        found.stopped += 1
        logger.warning("a job was left over", extra={"run_id": run_id, "job": standing.job.id})
        backend.stop(standing.job, "nobody waits for it any more")
