"""The events on the bus: what a changed row amounts to. `publish_changes` is the only one that sends them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from trainyard.model.check import Check
from trainyard.model.event_name import EventName
from trainyard.model.repository import Push
from trainyard.model.run import FacetState, Run, RunState
from trainyard.model.storage import StorageTask

SOURCE = "trainyard"


class PushEvent(BaseModel):
    """Detail of `push.received`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    push_id: str
    repository: str
    ref: str
    commit: str
    at: datetime


class StorageEvent(BaseModel):
    """Detail of `storage.asked`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    repository: str
    at: datetime


class CheckEvent(BaseModel):
    """Detail of `check.requested`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check_id: str
    project: str
    at: datetime


class RunEvent(BaseModel):
    """Detail of every `run.*`. A hint: whoever acts on it reads the run first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    project: str
    name: str
    state: RunState
    attempt: int
    version: int
    commit: str | None
    verdict: str | None
    at: datetime


_EVENT_OF_STATE = {
    RunState.REQUESTED: EventName.RUN_REQUESTED,
    RunState.REJECTED: EventName.RUN_REJECTED,
    RunState.ADMITTED: EventName.RUN_ADMITTED,
    RunState.QUEUED: EventName.RUN_QUEUED,
    RunState.STARTING: EventName.RUN_STARTING,
    RunState.RUNNING: EventName.RUN_RUNNING,
    RunState.SUCCEEDED: EventName.RUN_FINISHED,
    RunState.FAILED: EventName.RUN_FINISHED,
    RunState.STOPPED: EventName.RUN_FINISHED,
    RunState.TIMED_OUT: EventName.RUN_FINISHED,
}


def run_event_name(old: Run | None, new: Run) -> EventName | None:
    """The one event that the change from `old` to `new` is, or None where nobody needs to hear of it."""
    if old is None or (old.state, old.attempt, old.nudges) != (new.state, new.attempt, new.nudges):
        return _event_of_state(new)
    if new.awaits_submission and (old.awaits_approval or old.fallback != new.fallback):
        return EventName.RUN_ADMITTED
    if old.stop is None and new.stop is not None:
        return EventName.RUN_STOP_REQUESTED
    if old.logs != new.logs and new.logs.state is not FacetState.NONE:
        return EventName.RUN_INDEXED
    if old.evaluation != new.evaluation and new.evaluation.state is not FacetState.NONE:
        return EventName.RUN_EVALUATED
    return None


def _event_of_state(run: Run) -> EventName:
    """What is to be done for the run next, as far as its state tells."""
    # What has lost its job to a lack of spot machines is to be submitted, as what was just admitted is.
    if run.awaits_submission:
        return EventName.RUN_ADMITTED
    if run.state.is_final and run.evaluation.state is not FacetState.NONE:
        return EventName.RUN_EVALUATED
    was_indexed = run.state.is_final and run.logs.state is not FacetState.NONE
    return EventName.RUN_INDEXED if was_indexed else _EVENT_OF_STATE[run.state]


def run_event(run: Run) -> RunEvent:
    return RunEvent(
        run_id=run.id,
        project=run.project,
        name=run.name,
        state=run.state,
        attempt=run.attempt,
        version=run.version,
        commit=run.commit,
        verdict=run.evaluation.verdict,
        at=run.updated_at,
    )


def storage_event(task: StorageTask) -> StorageEvent:
    return StorageEvent(task_id=task.id, repository=task.repository, at=task.requested_at)


def check_event(check: Check) -> CheckEvent:
    return CheckEvent(check_id=check.id, project=check.project, at=check.requested_at)


def push_event(push: Push) -> PushEvent:
    return PushEvent(push_id=push.id, repository=push.repository, ref=push.ref, commit=push.commit, at=push.received_at)
