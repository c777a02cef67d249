"""A training run as it is known at one moment."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from trainyard.model.finding import FindingCount
from trainyard.model.money import Approval, Cost, Estimate
from trainyard.model.repository import FullName, Sha
from trainyard.model.spec import Machines, RunSpec
from trainyard.model.text import Text

MOST_NUDGES_OF_ENDED = 20
"""What could not be indexed or judged for hours is a fault of ours, which the dead-letter queue's alarm tells of."""


class RunState(StrEnum):
    """requested -> rejected | admitted -> queued -> starting -> running -> succeeded | failed | stopped | timed_out"""

    REQUESTED = "requested"
    REJECTED = "rejected"
    ADMITTED = "admitted"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    TIMED_OUT = "timed_out"

    @property
    def is_final(self) -> bool:
        return self in _FINAL

    @property
    def rank(self) -> int:
        """Position on the way forward; all final states share the last one."""
        return _RANK[self]


_FINAL = frozenset({RunState.REJECTED, RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.TIMED_OUT})
_WAY = (RunState.REQUESTED, RunState.ADMITTED, RunState.QUEUED, RunState.STARTING, RunState.RUNNING)
_RANK = {state: position for position, state in enumerate(_WAY)} | {state: len(_WAY) for state in _FINAL}


class Origin(StrEnum):
    """Who or what asked for the run."""

    PUSH = "push"
    FORM = "form"
    API = "api"
    RERUN = "rerun"
    EVALUATION = "evaluation"
    """It runs the evaluation script of another run."""


class FacetState(StrEnum):
    """The small state beside the run's own: logs and evaluation each have one."""

    NONE = "none"
    DONE = "done"
    FAILED = "failed"


class Transition(BaseModel):
    """One step of the timeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: RunState
    attempt: int
    at: datetime


class Job(BaseModel):
    """The backend's job that carries the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    id: str
    queue: str = ""


class ChildCount(BaseModel):
    """How many trainings a sweep has, and where they stand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total: int
    succeeded: int = 0
    failed: int = 0
    running: int = 0

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed


class Claim(BaseModel):
    """Who is doing something for the run right now. It keeps two functions from doing the same at the same moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str
    at: datetime


class Fallback(BaseModel):
    """No spot machine came for its first job in time, so that it is submitted once more, to on-demand machines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    """The job that never ran. Whatever is heard of it later is void."""
    at: datetime


class FailureReason(BaseModel):
    """Why a run did not succeed, as precisely as it could be found out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """script | setup | out_of_memory | killed | no_space | no_network | too_many_processes | nan | timeout | host
    | node | platform"""
    message: Text
    file: str | None = None
    """In the user's code."""
    line: int | None = None
    last_lines: list[str] = []


class StopRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str
    at: datetime
    failure: FailureReason | None = None
    """Set where the platform ends it because it cannot succeed any more: then it has failed, and this is why."""

    @property
    def reason(self) -> str:
        """What its job is told."""
        return f"stopped by {self.by}"


class LogsFacet(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    state: FacetState = FacetState.NONE
    lines: int = 0
    bytes: int = 0


class EvaluationFacet(BaseModel):
    """The verdict and the key figures; the whole evaluation lies in S3."""

    # JSON has no NaN; as null it could not be read back.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    state: FacetState = FacetState.NONE
    verdict: str | None = None
    """passed | failed | not_required"""
    best: dict[str, float] = {}
    last: dict[str, float] = {}
    key_metric: str | None = None
    """The metric that a list of runs shows."""
    curve: list[float] = []
    """Its course in a few finite values, for a sparkline: a list of runs reads rows and nothing else."""


class Evaluates(BaseModel):
    """What a run of an evaluation script is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    number: int | None = None
    """Of the evaluation that somebody asked for; None: the run's own."""


class Run(BaseModel):
    """One training run. `version` rises with every write; the store refuses a write on an older one."""

    model_config = ConfigDict(extra="forbid")

    id: str
    version: int = 0
    name: str
    project: FullName
    origin: Origin
    requested_by: str
    commit: Sha | None = None
    ref: str | None = None
    push_id: str | None = None
    rerun_of: str | None = None
    evaluates: Evaluates | None = None
    """Set where this is the run of an evaluation script."""
    spec: RunSpec | None = None
    """None where the repository's file could not be read; such a run is rejected."""
    state: RunState = RunState.REQUESTED
    attempt: int = 0
    """0 before the first attempt; it rises when the backend starts over."""
    timeline: list[Transition] = []
    findings: FindingCount = Field(default_factory=FindingCount)
    claim: Claim | None = None
    """Who is submitting it."""
    job_tokens: list[str] = []
    """SHA-256 of the tokens that its job may hold; more than one where a submission's answer was lost."""
    job: Job | None = None
    children: ChildCount | None = None
    """Of a sweep; None: the run is one training."""
    waiting: Text | None = None
    """Why it is not running yet, and what would change that."""
    blocked_at: datetime | None = None
    """Since when its job holds up its queue, or was seen to; None: it waits for its turn, or not at all."""
    estimate: Estimate | None = None
    """What it may cost."""
    cost: Cost | None = None
    """What it did cost; while it runs, the attempts that have ended."""
    approval: Approval | None = None
    """For a run over its project's budget: whether somebody agreed."""
    fallback: Fallback | None = None
    doubts: int = 0
    """How often in a row its backend was not sure whether its job is lost."""
    doubted_at: datetime | None = None
    stop: StopRequest | None = None
    failure: FailureReason | None = None
    exit_code: int | None = None
    logs: LogsFacet = Field(default_factory=LogsFacet)
    evaluation: EvaluationFacet = Field(default_factory=EvaluationFacet)
    nudges: int = 0
    """How often its last event was sent again because nothing had come of it."""
    reported: str = ""
    """The `standing` in which it came to rest, once the git host was told of that."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @property
    def awaits_approval(self) -> bool:
        return self.state is RunState.ADMITTED and self.approval is not None and self.approval.pending

    @property
    def awaits_submission(self) -> bool:
        """There is no job that could run: one is to be made. True also while a submission is under way."""
        if self.awaits_approval:
            return False
        fell_back = self.state is RunState.QUEUED and self.job is None and self.fallback is not None
        return self.state is RunState.ADMITTED or fell_back

    @property
    def machines(self) -> Machines:
        """Which machines its present or next job is for."""
        return Machines.ON_DEMAND if self.spec is None or self.fallback is not None else self.spec.machines

    @property
    def standing(self) -> str:
        """What tells one commit status from the next."""
        facet = self.evaluation
        verdict = facet.verdict or ("" if facet.state is FacetState.NONE else facet.state.value)
        held = ":held" if self.awaits_approval else ""
        return f"{self.state.value}:{self.attempt}:{verdict}{held}"

    @property
    def is_at_rest(self) -> bool:
        """It has ended, its log is indexed and its evaluation made, as far as there are any."""
        if not self.state.is_final:
            return False
        # What an evaluation script finds is noted on the run that it judges.
        judged = self.evaluation.state is not FacetState.NONE or self.evaluates is not None
        return self.state is RunState.REJECTED or (self.logs.state is not FacetState.NONE and judged)

    @property
    def is_settled(self) -> bool:
        """Everything that follows an end has happened, the last word to the git host too, or was tried often enough."""
        if not self.state.is_final:
            return False
        if self.deleted_at is not None or self.nudges >= MOST_NUDGES_OF_ENDED:
            return True
        told = self.evaluates is not None or self.reported == self.standing
        return self.is_at_rest and told

    def reached(self, state: RunState) -> datetime | None:
        """When it first reached `state`."""
        return next((step.at for step in self.timeline if step.state is state), None)
