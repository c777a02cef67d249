"""AWS Batch."""

from __future__ import annotations

import hashlib
import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trainyard.compute import batch_waiting
from trainyard.compute.contract import (
    ComputeBackend,
    JobEnd,
    JobRequest,
    JobStatus,
    StandingJob,
    SubmissionRefusedError,
)
from trainyard.model.lifecycle import JobPhase
from trainyard.model.money import GRACE
from trainyard.model.result import EXIT_NODE_LOST
from trainyard.model.run import ChildCount, Job
from trainyard.model.settings import Settings, settings
from trainyard.model.spec import Machines, Priority
from trainyard.model.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from botocore.exceptions import ClientError
    from mypy_boto3_batch import BatchClient

_SHORTEST_TIMEOUT = timedelta(seconds=60)
_PHASES = {
    "SUBMITTED": JobPhase.QUEUED,
    "PENDING": JobPhase.QUEUED,
    "RUNNABLE": JobPhase.QUEUED,
    "STARTING": JobPhase.STARTING,
    "RUNNING": JobPhase.RUNNING,
    "SUCCEEDED": JobPhase.SUCCEEDED,
    "FAILED": JobPhase.FAILED,
}
# The queues of a family, by what a run waits for; infra/fleet.yaml makes them.
_QUEUE_OF = {Machines.ON_DEMAND: "", Machines.SPOT: "-spot", Machines.SPOT_FIRST: "-spotfirst"}
_PRIORITIES = {Priority.LOW: 100, Priority.NORMAL: 500, Priority.HIGH: 900}
# Jobs that DescribeJobs takes at most.
_MOST_DESCRIBED = 100
# Of a sweep of 10,000 a hundred such calls, within the time that a function has.
_DESCRIBED_AT_ONCE = 8
# Jobs that GetJobQueueSnapshot shows at most.
_SNAPSHOT = 100
_SNAPSHOT_SECONDS = 5.0
# Batch refuses these for good; anything else may go through next time.
_FINAL_REFUSALS = ("ClientException", "ValidationException", "AccessDeniedException")


# Between tries of a throttled submission: three seconds in all, so that ten of them fit into the function's time.
_PAUSES = (0.2, 0.4, 0.8, 1.6)


# What is tried again as often as the user said: the machine went away, or it could not start the container. As in the
# job definitions; what a script did ends the run. Five are the most that Batch takes.
_RETRIED = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onReason": "CannotPullContainerError*", "action": "RETRY"},
    {"onReason": "DockerTimeoutError*", "action": "RETRY"},
    {"onReason": "CannotStartContainerError*", "action": "RETRY"},
    {"onReason": "*", "action": "EXIT"},
]
# Of several machines Batch looks at the main one alone: that says by its exit code that another one was lost.
_RETRIED_NODES = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onReason": "Cannot*", "action": "RETRY"},
    {"onReason": "DockerTimeoutError*", "action": "RETRY"},
    {"onExitCode": str(EXIT_NODE_LOST), "action": "RETRY"},
    {"onReason": "*", "action": "EXIT"},
]

# Of a job, with ten attempts of thirty days and what it waits for each of them.
_LONGEST_LIFE = timedelta(days=365)
_STANDING = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


class AwsBatch(ComputeBackend):
    """Job queues and job definitions come from the stack, by the names that the catalogue uses."""

    name = "aws_batch"
    carries_sweeps = True
    carries_nodes = True

    def __init__(self, client: BatchClient | None = None, known: Settings | None = None) -> None:
        self._given = client
        self._known = known
        self._fronts: dict[str, tuple[float, list[str]]] = {}

    @property
    def _batch(self) -> BatchClient:
        if self._given is None:
            from trainyard.clients import client

            self._given = client("batch")
        return self._given

    @property
    def _submitter(self) -> BatchClient:
        """Tries once: a call that was answered by nothing may have been heard, and must be looked up, not repeated."""
        if self._given is not None:
            return self._given
        from trainyard.clients import client

        made: BatchClient = client("batch", tries=1)
        return made

    @property
    def _settings(self) -> Settings:
        return self._known or settings()

    def submit(self, request: JobRequest) -> Job:
        queue = self._queue(request.queue, request.machines)
        definition = self._settings.job_definitions.get(request.job_definition)
        if definition is None:
            raise SubmissionRefusedError(_not_deployed("job definition", request.job_definition))
        try:
            answer = self._submit_at_pace(_submission(request, queue, definition))
        except self._submitter.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _FINAL_REFUSALS or _is_throttled(error):
                raise
            words = error.response["Error"].get("Message", "")
            raise SubmissionRefusedError(
                Text(en=f"AWS Batch refused the job: {words}", zh=f"AWS Batch 拒绝了该作业：{words}")
            ) from error
        return Job(backend=self.name, id=answer["jobId"], queue=queue)

    def _submit_at_pace(self, submission: dict[str, Any]) -> Any:
        """Batch takes 50 submissions a second from an account. What it refuses for that was not taken: try again."""
        for pause in _PAUSES:
            try:
                return self._submitter.submit_job(**submission)
            except self._submitter.exceptions.ClientError as error:
                if not _is_throttled(error):
                    raise
            # Spread, so that those who were refused together do not come back together.
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - nothing is hidden by it
        return self._submitter.submit_job(**submission)

    def find_by_name(self, run_id: str, queue: str, machines: Machines = Machines.ON_DEMAND) -> Job | None:
        arn = self._queue(queue, machines)
        by_name = [{"name": "JOB_NAME", "values": [run_id]}]
        # The filter ignores case and the id does not.
        found = [entry for entry in self._listed(jobQueue=arn, filters=by_name) if entry["jobName"] == run_id]
        if not found:
            return None
        oldest = min(found, key=lambda entry: (entry.get("createdAt", 0), entry["jobId"]))
        return Job(backend=self.name, id=oldest["jobId"], queue=arn)

    def standing_jobs(self) -> Iterator[StandingJob]:
        for arn in sorted(set(self._settings.job_queues.values())):
            for entry in self._standing(arn):
                job = Job(backend=self.name, id=entry["jobId"], queue=arn)
                yield StandingJob(job, entry["jobName"], datetime.fromtimestamp(entry["createdAt"] / 1000, UTC))

    def _standing(self, arn: str) -> Iterator[Any]:
        """One call tells of a quiet queue's jobs in every state, ended ones among them, which Batch keeps for a week.

        Where those fill more than a page, each of the five other states is asked for by itself.
        """
        since = str(int((datetime.now(UTC) - _LONGEST_LIFE).timestamp() * 1000))
        page = self._batch.list_jobs(jobQueue=arn, filters=[{"name": "AFTER_CREATED_AT", "values": [since]}])
        if not page.get("nextToken"):
            yield from (entry for entry in page["jobSummaryList"] if entry["status"] in _STANDING)
            return
        for status in _STANDING:
            yield from self._listed(jobQueue=arn, jobStatus=status)

    def _listed(self, **arguments: Any) -> Iterator[Any]:
        while True:
            answer = self._batch.list_jobs(**arguments)
            yield from answer["jobSummaryList"]
            if not answer.get("nextToken"):
                return
            arguments["nextToken"] = answer["nextToken"]

    def glance(self, job: Job) -> JobStatus | None:
        answer = self._batch.describe_jobs(jobs=[job.id])
        return status_of(answer["jobs"][0]) if answer["jobs"] else None

    def describe(self, job: Job) -> JobStatus | None:
        status = self.glance(job)
        if status is None or status.children is None or status.phase not in (JobPhase.SUCCEEDED, JobPhase.FAILED):
            return status
        # The parent of an array job has no attempts of its own: what was paid for are its children's.
        children = self.children_of(job, range(status.children.total))
        return status.model_copy(update={"seconds": sum(child.seconds for child in children)})

    def children_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
        return self._described([f"{job.id}:{index}" for index in indexes])

    def nodes_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
        return self._described([f"{job.id}#{index}" for index in indexes])

    def _described(self, ids: list[str]) -> list[JobStatus]:
        pages = [ids[at : at + _MOST_DESCRIBED] for at in range(0, len(ids), _MOST_DESCRIBED)]
        with ThreadPoolExecutor(_DESCRIBED_AT_ONCE) as pool:
            answers = list(pool.map(lambda page: self._batch.describe_jobs(jobs=page)["jobs"], pages))
        return [status_of(one) for answer in answers for one in answer]

    def explain(self, status: JobStatus) -> Text | None:
        if status.phase is not JobPhase.QUEUED or status.blocked:
            return status.waiting
        front = self._front(status.job.queue)
        # Of an array job the children stand in the queue, of several machines perhaps the first.
        ours = (f"/{status.job.id}", f"/{status.job.id}:0", f"/{status.job.id}#0")
        place = next((number for number, arn in enumerate(front) if arn.endswith(ours)), None)
        # One that is not among the first hundred and yet has no hundred before it is on its way into the queue.
        return status.waiting if place is None and len(front) < _SNAPSHOT else batch_waiting.place_in_queue(place)

    def _front(self, queue: str) -> list[str]:
        """ARNs of the jobs that start next. Whoever asks after many runs of a queue asks Batch once."""
        now = time.monotonic()
        at, front = self._fronts.get(queue, (-math.inf, []))
        if now - at > _SNAPSHOT_SECONDS:
            snapshot = self._batch.get_job_queue_snapshot(jobQueue=queue)
            front = [entry["jobArn"] for entry in snapshot.get("frontOfQueue", {}).get("jobs", [])]
            self._fronts[queue] = now, front
        return front

    def give_up_waiting(self, status: JobStatus) -> None:
        # In the words of a queue's own time limit, which knows three reasons and not the others.
        cause = status.reason.partition(" - ")[0] or batch_waiting.UNDETERMINED
        self._batch.cancel_job(jobId=status.job.id, reason=f"{batch_waiting.CANCELED_BY_LIMIT}{cause}"[:256])

    def stop(self, job: Job, reason: str) -> None:
        # TerminateJob also cancels what has not started, and is silent for what has ended or is unknown.
        self._batch.terminate_job(jobId=job.id, reason=reason[:256])

    def _queue(self, family: str, machines: Machines) -> str:
        name = family + _QUEUE_OF[machines]
        arn = self._settings.job_queues.get(name)
        if arn is None:
            raise SubmissionRefusedError(_not_deployed("job queue", name))
        return arn


def status_of(detail: Any) -> JobStatus:
    """The status in Batch's own description of a job: DescribeJobs' shape, which its events share."""
    children = _children(detail)
    phase = _phase_of_sweep(detail) if children else _PHASES[detail["status"]]
    attempts = detail.get("attempts") or []
    ended = phase in (JobPhase.SUCCEEDED, JobPhase.FAILED)
    # A job that ended before its first attempt has none; it still counts as its first.
    attempt = max(len(attempts), 1) if ended else len(attempts) + 1
    last = attempts[-1].get("container", {}) if attempts and ended else {}
    exit_code = last.get("exitCode")
    reason = " ".join(filter(None, (detail.get("statusReason"), last.get("reason") if ended else None)))
    end = _end(reason, exit_code, has_attempt=bool(attempts))
    return JobStatus(
        job=Job(backend=AwsBatch.name, id=detail["jobId"], queue=detail["jobQueue"]),
        run_id=detail["jobName"],
        attempt=attempt,
        phase=phase,
        end=None if phase is not JobPhase.FAILED else JobEnd.CHILDREN if children else end,
        exit_code=exit_code,
        reason=reason,
        started_at=_time(attempts[-1].get("startedAt") if attempts and ended else detail.get("startedAt")),
        waiting=batch_waiting.why(reason, _machines_of(detail["jobQueue"])) if phase is JobPhase.QUEUED else None,
        blocked=phase is JobPhase.QUEUED and batch_waiting.is_blocked(reason),
        # All machines of a multi-node job are there for as long as its main one, whose attempts these are.
        seconds=sum(_seconds(each) for each in attempts) * detail.get("nodeProperties", {}).get("numNodes", 1),
        children=children,
        child=detail.get("arrayProperties", {}).get("index"),
        node=detail.get("nodeDetails", {}).get("nodeIndex"),
    )


def _machines_of(queue: str) -> Machines:
    """What whoever waits in this queue waits for, by the queue's name."""
    found = (machines for machines, suffix in _QUEUE_OF.items() if suffix and queue.endswith(suffix))
    return next(found, Machines.ON_DEMAND)


def _children(detail: Any) -> ChildCount | None:
    """Of an array job's parent."""
    array = detail.get("arrayProperties") or {}
    if not array.get("size"):
        return None
    summary = array.get("statusSummary") or {}
    return ChildCount(
        total=array["size"],
        succeeded=summary.get("SUCCEEDED", 0),
        failed=summary.get("FAILED", 0),
        running=summary.get("RUNNING", 0),
    )


def _phase_of_sweep(detail: Any) -> JobPhase:
    """The parent itself is PENDING until the last child has ended: how far the foremost of them is tells more."""
    phase = _PHASES[detail["status"]]
    if phase in (JobPhase.SUCCEEDED, JobPhase.FAILED):
        return phase
    summary = detail["arrayProperties"].get("statusSummary") or {}
    if any(summary.get(one) for one in ("RUNNING", "SUCCEEDED", "FAILED")):
        return JobPhase.RUNNING
    return JobPhase.STARTING if summary.get("STARTING") else JobPhase.QUEUED


def _seconds(attempt: Any) -> float:
    """Of an attempt that never began to run nothing is paid for."""
    began, ended = attempt.get("startedAt"), attempt.get("stoppedAt")
    return max(ended - began, 0) / 1000 if began and ended else 0.0


def _is_throttled(error: ClientError) -> bool:
    answer = error.response
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status == 429 or "Too Many" in str(error) or answer["Error"]["Code"].startswith("Throttling")


def share_of(owner: str) -> str:
    """Batch's share identifier of an owner: letters and digits only, and no two owners the same."""
    plain = "".join(character for character in owner if character.isascii() and character.isalnum())
    return plain if plain == owner else plain[:40] + "x" + hashlib.sha256(owner.encode()).hexdigest()[:16]


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _end(reason: str, exit_code: int | None, *, has_attempt: bool) -> JobEnd:
    """Batch has no codes for this, only sentences; these are the ones that its user guide documents."""
    if "attempt duration exceeded timeout" in reason:
        return JobEnd.TIMED_OUT
    if "OutOfMemory" in reason:
        return JobEnd.OUT_OF_MEMORY
    if reason.startswith("Host EC2"):
        return JobEnd.HOST
    if reason.startswith(batch_waiting.CANCELED_BY_LIMIT):
        return _end_of_wait(reason.removeprefix(batch_waiting.CANCELED_BY_LIMIT))
    if exit_code is not None:
        return JobEnd.SCRIPT
    return JobEnd.SETUP if has_attempt else JobEnd.STOPPED


def _end_of_wait(cause: str) -> JobEnd:
    if cause.startswith(batch_waiting.TOO_LARGE):
        return JobEnd.IMPOSSIBLE
    return JobEnd.NO_CAPACITY if cause.startswith(batch_waiting.NO_CAPACITY) else JobEnd.BLOCKED


def _submission(request: JobRequest, queue: str, definition: str) -> dict[str, Any]:
    environment = {"TRAINYARD_RUN_ID": request.run_id, **request.environment}
    resources = {"VCPU": request.vcpus, "MEMORY": request.memory_mib, "GPU": request.accelerators}
    container = {
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "resourceRequirements": [{"type": kind, "value": str(amount)} for kind, amount in resources.items() if amount],
    }
    attempt_seconds = math.ceil((max(request.timeout, _SHORTEST_TIMEOUT) + GRACE).total_seconds())
    return {
        **({"arrayProperties": {"size": request.children}} if request.children else {}),
        "jobName": request.run_id,
        "jobQueue": queue,
        "jobDefinition": definition,
        "shareIdentifier": share_of(request.owner),
        "schedulingPriorityOverride": _PRIORITIES[request.priority],
        **_overrides(container, request.nodes),
        "timeout": {"attemptDurationSeconds": attempt_seconds},
        # Always said: without it the definition's number of attempts would count, and the price was for another.
        "retryStrategy": {
            "attempts": request.retries + 1,
            "evaluateOnExit": _RETRIED if request.nodes == 1 else _RETRIED_NODES,
        },
        "tags": {"trainyard:run": request.run_id, "trainyard:owner": request.owner},
        "propagateTags": True,
    }


def _overrides(container: dict[str, Any], nodes: int) -> dict[str, Any]:
    """The container of the job, or of every one of its nodes."""
    if nodes == 1:
        return {"containerOverrides": container}
    each = {"targetNodes": "0:", "containerOverrides": container}
    return {"nodeOverrides": {"numNodes": nodes, "nodePropertyOverrides": [each]}}


def _not_deployed(what: str, name: str) -> Text:
    return Text(
        en=f"This installation has no {what} {name!r}. Choose another flavor or framework, or ask the operator.",
        zh=f"当前部署没有名为 {name!r} 的资源（{what}）。请选择其他规格或框架，或联系管理员。",
    )
