"""What Batch remembers: the names it gives, jobs and everything else, as plain data that goes into one JSON file."""

import re
import time
from dataclasses import dataclass, field
from typing import Any

from infra.local.batch.refusal import Refusal

Wire = dict[str, Any]
"""A JSON object in the shape that botocore's service model gives it."""

TERMINAL = frozenset({"SUCCEEDED", "FAILED"})
ON_AN_INSTANCE = frozenset({"STARTING", "RUNNING"})
NOT_YET_PLACED = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})

# AWS keeps a finished job for at least seven days; so does this one, and forgets it then.
KEPT_AFTER_THE_END_MS = 7 * 24 * 3600 * 1000


def now_ms() -> int:
    """Milliseconds since 1970, the unit of every time on Batch's wire."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Place:
    """The account and region that ARNs and events are made for."""

    region: str = "us-east-1"
    account: str = "000000000000"

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource, e.g. `arn("job-queue", "gpu")`."""
        return f"arn:aws:batch:{self.region}:{self.account}:{kind}/{name}"


def name_of(name_or_arn: str) -> str:
    """The bare name (`name`, or `name:revision` for a definition) of what callers may give as a name or an ARN."""
    return name_or_arn.rsplit("/", 1)[-1]


def child_id(job_id: str, index: int) -> str:
    """The id of one child of an array job."""
    return f"{job_id}:{index}"


def node_id(job_id: str, index: int) -> str:
    """The id of one node of a multi-node parallel job."""
    return f"{job_id}#{index}"


@dataclass
class Job:
    """One job. `detail` is what DescribeJobs shows; the rest is what only the scheduler needs.

    seq: order of submission, never reused. environment_name: the compute environment it was placed on last.
    session: the running attempt's session id, and the start time and boot that tell it from a later namesake.
    stop_reason: set once an end was asked for; nothing retries the job after that.
    """

    seq: int
    detail: Wire
    environment_name: str = ""
    session: Wire | None = None
    stop_reason: str | None = None

    @property
    def job_id(self) -> str:
        return str(self.detail["jobId"])

    @property
    def status(self) -> str:
        return str(self.detail["status"])

    @property
    def queue_name(self) -> str:
        return name_of(self.detail["jobQueue"])

    @property
    def array_size(self) -> int:
        """How many children it has; 0 where it is no array job."""
        return int(self.detail.get("arrayProperties", {}).get("size", 0))

    @property
    def node_count(self) -> int:
        """How many nodes it has; 0 where it is no multi-node parallel job, or is itself a node of one."""
        return int(self.detail.get("nodeProperties", {}).get("numNodes", 0))

    @property
    def is_parent(self) -> bool:
        """It runs nothing itself: its children or nodes do."""
        return bool(self.array_size or self.node_count)

    @property
    def is_node(self) -> bool:
        return "nodeDetails" in self.detail

    @property
    def is_main_node(self) -> bool:
        return bool(self.detail.get("nodeDetails", {}).get("isMainNode"))

    @property
    def is_other_node(self) -> bool:
        """A node that its job does not depend on: its failure causes no further attempt, of it or of the job."""
        return self.is_node and not self.is_main_node

    @property
    def parent_id(self) -> str | None:
        """The array job that it is a child of, or the multi-node parallel job that it is a node of."""
        parent = re.split("[:#]", self.job_id)[0]
        return parent if parent != self.job_id else None

    @property
    def attempt(self) -> int:
        """Number of the attempt that runs or would run next, from 1."""
        return len(self.detail["attempts"]) + 1

    @property
    def vcpus(self) -> float:
        """Of its own container; a parent has none."""
        return float(requirement(self.detail.get("container", {}), "VCPU") or 0)


def requirement(container: Wire, kind: str) -> str | None:
    """The value of a resource requirement (VCPU, MEMORY, GPU) of container properties, or None."""
    for each in container.get("resourceRequirements", []):
        if each["type"] == kind:
            return str(each["value"])
    older = {"VCPU": "vcpus", "MEMORY": "memory"}.get(kind)
    return str(container[older]) if older and container.get(older) else None


@dataclass
class State:
    """Everything that outlives a restart. Whoever holds the scheduler's lock may read and change it.

    definitions: name -> its revisions, oldest first. outbox: events not yet delivered, oldest first; kept here so
    that a state and the event that tells of it are saved together.
    """

    compute_environments: dict[str, Wire] = field(default_factory=dict)
    policies: dict[str, Wire] = field(default_factory=dict)
    queues: dict[str, Wire] = field(default_factory=dict)
    definitions: dict[str, list[Wire]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    outbox: list[Wire] = field(default_factory=list)
    next_seq: int = 1

    def to_json(self) -> Wire:
        """What goes into the state file; shares its parts with the state, so use it under the lock."""
        return {**vars(self), "jobs": {job_id: vars(job) for job_id, job in self.jobs.items()}}

    @classmethod
    def from_json(cls, saved: Wire) -> "State":
        jobs = {job_id: Job(**job) for job_id, job in saved["jobs"].items()}
        return cls(**{**saved, "jobs": jobs})

    def queue(self, name_or_arn: str) -> Wire:
        try:
            return self.queues[name_of(name_or_arn)]
        except KeyError:
            raise Refusal(f"Job Queue {name_or_arn} does not exist") from None

    def compute_environment(self, name_or_arn: str) -> Wire:
        try:
            return self.compute_environments[name_of(name_or_arn)]
        except KeyError:
            raise Refusal(f"Compute Environment {name_or_arn} does not exist") from None

    def policy(self, name_or_arn: str) -> Wire:
        try:
            return self.policies[name_of(name_or_arn)]
        except KeyError:
            raise Refusal(f"Scheduling Policy {name_or_arn} does not exist") from None

    def definition(self, name_or_arn: str) -> Wire:
        """The active definition meant by `name` (its latest revision), `name:revision` or an ARN."""
        name, _, revision = name_of(name_or_arn).partition(":")
        for each in reversed(self.definitions.get(name, [])):
            if revision in ("", str(each["revision"])):
                return each
        raise Refusal(f"JobDefinition {name_or_arn} does not exist or is not active")

    def job(self, job_id: str) -> Job:
        try:
            return self.jobs[job_id]
        except KeyError:
            raise Refusal(f"Job {job_id} does not exist") from None

    def children(self, parent: Job) -> list[Job]:
        """Of an array job its children, of a multi-node parallel job its nodes, by index."""
        nodes = [self.jobs[node_id(parent.job_id, index)] for index in range(parent.node_count)]
        return nodes or [self.jobs[child_id(parent.job_id, index)] for index in range(parent.array_size)]

    def main_node(self, node: Job) -> Job:
        """Of the multi-node parallel job that it is a node of."""
        return next(each for each in self.children(self.job(node.parent_id or "")) if each.is_main_node)

    def forget_old_jobs(self, now: int) -> None:
        """Children and nodes go with their job."""
        for job in list(self.jobs.values()):
            if job.parent_id or job.status not in TERMINAL or job.detail["stoppedAt"] >= now - KEPT_AFTER_THE_END_MS:
                continue
            for each in [job, *self.children(job)]:
                del self.jobs[each.job_id]
