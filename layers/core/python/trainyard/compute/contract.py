"""What every compute backend promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from trainyard.model.lifecycle import JobPhase
from trainyard.model.run import ChildCount, Job
from trainyard.model.spec import Machines, Priority
from trainyard.model.text import Text


class JobRequest(BaseModel):
    """One run to be carried out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    """Also the job's name: how a job is found again when the answer to a submission was lost."""
    owner: str
    """Who shares the queue fairly with whom: the project's owner."""
    queue: str
    """The flavor's queue, as the catalogue names it."""
    job_definition: str
    """The framework's job definition, as the catalogue names it."""
    instance: str = ""
    """The flavor's machine, as its provider names it."""
    version: str = ""
    """The framework's version, as its provider names it."""
    vcpus: int
    memory_mib: int
    accelerators: int = 0
    timeout: timedelta
    """How long the script may run in one attempt; the backend's own limit lies a little behind it."""
    retries: int = 0
    machines: Machines = Machines.ON_DEMAND
    priority: Priority = Priority.NORMAL
    environment: dict[str, str] = {}
    children: int = 0
    """For a sweep: how many trainings the job is made of, each told its index from 0. 0: it is one training."""
    nodes: int = 1
    """Machines that train together. Each is told its index from 0; where the first one ends, the job ends."""


class JobEnd(StrEnum):
    """Why a job that failed failed, as far as the backend can tell."""

    SCRIPT = "script"
    STOPPED = "stopped"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    HOST = "host"
    """The machine was lost or reclaimed."""
    SETUP = "setup"
    """The container never started."""
    NO_CAPACITY = "no_capacity"
    """It waited for a machine as long as it may, and none came."""
    BLOCKED = "blocked"
    """It held up its queue as long as it may, for a reason that the backend does not know or cannot change."""
    IMPOSSIBLE = "impossible"
    """No machine of its queue could ever carry it."""
    CHILDREN = "children"
    """It is a sweep, and at least one of its trainings failed."""
    NOT_FETCHED = "not_fetched"
    """It ran elsewhere and ended; what it left could not be brought back."""


class JobStatus(BaseModel):
    """Where a job stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Job
    run_id: str
    attempt: int
    """From 1: the attempt that is running or will run next, or that was the last one."""
    phase: JobPhase
    end: JobEnd | None = None
    exit_code: int | None = None
    reason: str = ""
    """The backend's own words."""
    started_at: datetime | None = None
    """When the present or last attempt began to run."""
    waiting: Text | None = None
    """For a job that is queued: why, and what would change it."""
    blocked: bool = False
    """For a job that is queued: it does not wait for its turn, something keeps it from starting."""
    seconds: float = 0.0
    """How long machines worked for it in the attempts that have ended, added up: what is paid for."""
    children: ChildCount | None = None
    """For a sweep: where its trainings stand."""
    child: int | None = None
    """This is the job of one training of a sweep, with this index; `job` is that one's, not the sweep's."""
    node: int | None = None
    """This is the job of one machine of several, with this index; `job` is that one's, not the whole one's."""
    doubtful: bool = False
    """The backend itself is not sure of this end: it counts once several looks have seen it."""


@dataclass(frozen=True)
class StandingJob:
    """A job that has not ended, as a list of them tells."""

    job: Job
    run_id: str
    """The job's name."""
    created_at: datetime


class SubmissionRefusedError(Exception):
    """The backend will never take this job as it is: a limit of the account, a definition that is gone.

    `reason` is shown to the user as the run's failure. Throttling, time-outs and faults are not this: they are raised
    as the client raised them, and the event is delivered again.
    """

    def __init__(self, reason: Text) -> None:
        super().__init__(str(reason))
        self.reason = reason


class ComputeBackend(ABC):
    """A place that runs jobs."""

    name: str
    """Its name in the registry and in the catalogue."""
    carries_sweeps = False
    """Whether it takes a request with `children`."""
    carries_nodes = False
    """Whether it takes a request for several `nodes`."""
    must_be_asked: bool = False
    """It tells nobody when a job moves on, so that somebody has to look."""

    @abstractmethod
    def submit(self, request: JobRequest) -> Job:
        """Submit once. SubmissionRefusedError if it can never be taken.

        The call is not repeatable: a caller that did not get an answer calls `find_by_name` before it tries again.
        """

    @abstractmethod
    def find_by_name(self, run_id: str, queue: str, machines: Machines = Machines.ON_DEMAND) -> Job | None:
        """The job of that run, whatever its state; None if none was ever submitted. The oldest, should there be two."""

    @abstractmethod
    def describe(self, job: Job) -> JobStatus | None:
        """Where it stands; None once the backend has forgotten it."""

    def glance(self, job: Job) -> JobStatus | None:
        """`describe` for whoever asks very often: of a sweep without what its trainings cost."""
        return self.describe(job)

    def standing_jobs(self) -> Iterator[StandingJob]:
        """All of ours that have not ended; none where a backend tells only of jobs that are asked for."""
        return iter(())

    def attend(self, job: Job) -> JobStatus | None:
        """`describe`, for whoever looks regularly: a job with steps that nobody else begins is carried one further.

        Safe to call by two at the same moment.
        """
        return self.describe(job)

    def live_log(self, job: Job, offset: int, node: int = 0) -> bytes:  # noqa: ARG002
        """What a machine's log holds from `offset` on and nobody else stores, as far as it is known; b"" if nothing."""
        return b""

    def children_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
        """Where these trainings of a sweep stand; those that the backend has forgotten are left out."""
        raise NotImplementedError

    def nodes_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
        """Where these machines of several stand; those that the backend has forgotten are left out."""
        raise NotImplementedError

    def explain(self, status: JobStatus) -> Text | None:
        """A closer look at why a queued job waits, such as its place in the queue. It may ask the backend."""
        return status.waiting

    def give_up_waiting(self, status: JobStatus) -> None:  # noqa: B027 - most end such a job by themselves
        """End a job that is blocked, unless it has started meanwhile; its end is `BLOCKED` or `NO_CAPACITY` then."""

    @abstractmethod
    def stop(self, job: Job, reason: str) -> None:
        """Stop it in whatever state. Silent if it has ended or is gone."""
