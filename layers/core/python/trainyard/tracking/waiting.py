"""Why a run waits, asked of its backend at this moment."""

from __future__ import annotations

from collections.abc import Callable

from trainyard.compute.contract import ComputeBackend, JobStatus
from trainyard.model.lifecycle import JobPhase
from trainyard.model.run import Run, RunState
from trainyard.model.text import Text
from trainyard.model.waiting import waiting


def why_waiting(run: Run, backends: Callable[[str], ComputeBackend]) -> Text | None:
    """One sentence for a run that has neither begun nor ended; the last known one where the backend does not answer."""
    if run.state is not RunState.QUEUED or run.job is None or run.stop is not None:
        return waiting(run)
    from botocore.exceptions import BotoCoreError, ClientError

    backend = backends(run.job.backend)
    try:
        status = backend.describe(run.job)
        return (explained(backend, status).waiting if status else None) or waiting(run)
    except (BotoCoreError, ClientError):
        return waiting(run)


def explained(backend: ComputeBackend, status: JobStatus) -> JobStatus:
    """The status with a closer look at why its job waits."""
    if status.phase is not JobPhase.QUEUED:
        return status
    return status.model_copy(update={"waiting": backend.explain(status)})
