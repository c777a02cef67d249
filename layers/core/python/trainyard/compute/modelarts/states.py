"""What ModelArts says of a job, in the words that all backends share."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from trainyard.compute.contract import JobEnd
from trainyard.model.lifecycle import JobPhase

TIMEOUT_VARIABLE = "TRAINYARD_TIMEOUT"
"""Of a job's environment: how many seconds its script may run. ModelArts' own limit counts in hours."""
# An error in the log of a function counts as a fault, and faults have an alarm.
UNKNOWN_PHASE = "ModelArts speaks of a phase that is not known here"
# What ModelArts itself calls uncertain: a node that does not report may come back.
_UNCERTAIN = ("Lost", "Unknown")

logger = logging.getLogger(__name__)


class Seen(BaseModel):
    """A training job at one moment."""

    model_config = ConfigDict(frozen=True)

    phase: JobPhase
    end: JobEnd | None = None
    exit_code: int | None = None
    reason: str = ""
    started_at: datetime | None = None
    seconds: float = 0.0
    """How long it has been running, all its starts together."""
    machines: int = 1
    doubtful: bool = False
    """It may be over; the next looks will tell."""

    @property
    def has_ended(self) -> bool:
        return self.phase in (JobPhase.SUCCEEDED, JobPhase.FAILED)


def seen(job: dict[str, Any], stages: list[str] | None = None) -> Seen:
    """Read ModelArts' description of a job. `stages`: those that a running one has reached, where they were asked."""
    status = job["status"]
    phase, secondary = status.get("phase", ""), status.get("secondary_phase", "")
    facts = Seen(
        phase=JobPhase.QUEUED,
        reason=_reason(status),
        started_at=_time(status.get("start_time")),
        seconds=(status.get("duration") or 0) / 1000,
        machines=(job.get("spec") or {}).get("resource", {}).get("node_count") or 1,
    )
    if phase in ("Creating", "Pending"):
        return facts
    if phase == "Running":
        starting = stages is not None and "running" not in stages and "end" not in stages
        return facts.model_copy(update={"phase": JobPhase.STARTING if starting else JobPhase.RUNNING})
    if phase == "Terminating":
        return facts.model_copy(update={"phase": JobPhase.RUNNING})
    if phase == "Completed":
        return facts.model_copy(update={"phase": JobPhase.SUCCEEDED, "exit_code": 0, "reason": ""})
    if phase in ("Failed", "Terminated", "Abnormal"):
        changes = {
            "phase": JobPhase.FAILED,
            "end": _end(phase, secondary, status, timeout_of(job)),
            "exit_code": _exit_code(status),
            "doubtful": phase == "Abnormal" and secondary in _UNCERTAIN,
        }
        return facts.model_copy(update=changes)
    logger.error("%s: %s, %s", UNKNOWN_PHASE, phase[:50], job["metadata"].get("name"))
    # The least that can be said: a run never goes back, so it stays where it is.
    return facts


def timeout_of(job: dict[str, Any]) -> float | None:
    """Seconds that its script may run."""
    # It is told as one object and answered as a list of them.
    told = (job.get("algorithm") or {}).get("environments") or []
    variables = told if isinstance(told, list) else [told]
    return next((float(each[TIMEOUT_VARIABLE]) for each in variables if TIMEOUT_VARIABLE in each), None)


def _end(phase: str, secondary: str, status: dict[str, Any], timeout: float | None) -> JobEnd:
    if phase == "Terminated":
        over = timeout is not None and (status.get("duration") or 0) / 1000 >= timeout
        return JobEnd.TIMED_OUT if over else JobEnd.STOPPED
    if phase == "Abnormal":
        return JobEnd.SETUP if secondary == "CreateFailed" else JobEnd.HOST
    if secondary == "CreateFailed":
        return JobEnd.SETUP
    return JobEnd.OUT_OF_MEMORY if "oom" in _reason(status).lower() else JobEnd.SCRIPT


def _exit_code(status: dict[str, Any]) -> int | None:
    codes = [task.get("exit_code") for task in status.get("task_statuses") or []]
    return next((code for code in codes if code), None)


def _reason(status: dict[str, Any]) -> str:
    """The tasks' own words, and why the last start ended; else the phase."""
    words = [task.get("message") for task in status.get("task_statuses") or []]
    words += [record.get("end_reason") for record in (status.get("running_records") or [])[-1:]]
    said = "; ".join(dict.fromkeys(word for word in words if word))
    phase = status.get("phase", "")
    return said[:500] or (phase if phase in ("Failed", "Terminated", "Abnormal") else "")


def _time(stamp: int | None) -> datetime | None:
    """ModelArts gives milliseconds here and seconds there."""
    if not stamp:
        return None
    return datetime.fromtimestamp(stamp / 1000 if stamp > 10**11 else stamp, UTC)
