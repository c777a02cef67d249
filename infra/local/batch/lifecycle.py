"""How a job moves: SUBMITTED -> RUNNABLE -> STARTING -> RUNNING -> SUCCEEDED | FAILED, or back to RUNNABLE.

Pure: changes the job it is given and nothing else.
"""

from dataclasses import dataclass
from typing import Any

from infra.local.batch import arrays, retry
from infra.local.batch.records import NOT_YET_PLACED, Job

NEXT = {
    "SUBMITTED": {"RUNNABLE", "PENDING", "FAILED"},
    # Only the parents of array jobs, until the last of their children has ended.
    "PENDING": {"SUCCEEDED", "FAILED"},
    "RUNNABLE": {"STARTING", "FAILED"},
    "STARTING": {"RUNNING", "RUNNABLE", "FAILED"},
    "RUNNING": {"SUCCEEDED", "RUNNABLE", "FAILED"},
    "SUCCEEDED": set[str](),
    "FAILED": set[str](),
}

ENDED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"
# What blocks a queue, in Batch's own words. The first part is what a queue's time limits name.
TOO_LARGE = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet the CPU "
    "requirement of the job."
)
NO_CAPACITY = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested for instance type "
    "[optimal]"
)

UNDETERMINED = "UNDETERMINED - Batch job is blocked, root cause is undetermined."


def canceled_by_limit(cause: str) -> str:
    """The reason of a job that a queue's time limit ended."""
    return f"Canceled by JobStateTimeLimit action due to reason: {cause}"


def host_lost(instance: str) -> str:
    """The reason that Batch gives when the instance under a job went away, e.g. a spot reclaim."""
    return f"Host EC2 (instance {instance}) terminated."


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended. exit_code and reason are the container's, where it has any; final: never retried.

    again: it is retried whatever its strategy says, because the main node of its job is.
    """

    status_reason: str
    exit_code: int | None = None
    reason: str | None = None
    final: bool = False
    again: bool = False


def move(job: Job, status: str) -> None:
    """Change the job's status. An impossible step is a bug."""
    if status not in NEXT[job.status]:
        raise RuntimeError(f"{job.job_id}: no way from {job.status} to {status}")
    job.detail["status"] = status


def begin(job: Job, environment_name: str) -> None:
    """A place was found for the job: its next attempt starts there."""
    move(job, "STARTING")
    job.environment_name = environment_name
    job.detail.pop("statusReason", None)
    job.detail.pop("startedAt", None)
    for left_over in ("exitCode", "reason", "logStreamName"):
        job.detail["container"].pop(left_over, None)


def run(job: Job, now: int, log_stream: str) -> None:
    """The attempt's process is there. now: milliseconds."""
    move(job, "RUNNING")
    job.detail["startedAt"] = now
    job.detail["container"]["logStreamName"] = log_stream


def end_attempt(job: Job, outcome: Outcome, now: int) -> None:
    """The attempt is over: note it, and end the job or make it RUNNABLE again. now: milliseconds."""
    attempt = _attempt(job, outcome, now)
    job.detail["attempts"].append(attempt)
    job.detail["container"].update(attempt["container"])
    job.session = None
    if outcome.again:
        move(job, "RUNNABLE")
    elif outcome.exit_code == 0 and not outcome.final:
        _end(job, "SUCCEEDED", outcome.status_reason, now)
    elif not outcome.final and _is_tried_again(job, attempt):
        move(job, "RUNNABLE")
    else:
        _end(job, "FAILED", outcome.status_reason, now)


def _is_tried_again(job: Job, attempt: dict[str, Any]) -> bool:
    if job.is_other_node:
        return False
    return retry.again(job.detail["retryStrategy"], len(job.detail["attempts"]), attempt)


def end_unplaced(job: Job, reason: str, now: int) -> None:
    """End a job that no attempt of which is under way (cancelled, or terminated early). now: milliseconds."""
    if job.status not in NOT_YET_PLACED:
        raise RuntimeError(f"{job.job_id} is {job.status}, not waiting")
    _end(job, "FAILED", reason, now)


def end_parent(job: Job, now: int) -> None:
    """The last child of an array job has ended. now: milliseconds."""
    if job.detail["arrayProperties"]["statusSummary"].get("FAILED"):
        _end(job, "FAILED", job.stop_reason or arrays.CHILD_FAILED, now)
    else:
        _end(job, "SUCCEEDED", "", now)
        del job.detail["statusReason"]


def _end(job: Job, status: str, reason: str, now: int) -> None:
    move(job, status)
    job.detail["statusReason"] = reason
    job.detail["stoppedAt"] = now


def _attempt(job: Job, outcome: Outcome, now: int) -> dict[str, Any]:
    container: dict[str, Any] = {}
    if "logStreamName" in job.detail["container"]:
        container["logStreamName"] = job.detail["container"]["logStreamName"]
    if outcome.exit_code is not None:
        container["exitCode"] = outcome.exit_code
    if outcome.reason:
        container["reason"] = outcome.reason
    attempt = {"container": container, "stoppedAt": now, "statusReason": outcome.status_reason}
    if "startedAt" in job.detail:
        attempt["startedAt"] = job.detail["startedAt"]
    return attempt
