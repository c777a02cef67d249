"""The run's state machine: pure functions from a run and something that happened to the run afterwards.

Each returns the very same object where nothing changes: the event came twice, late or out of order. Nothing here ever
moves a state backwards within an attempt, and a final state is final.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from trainyard.model.finding import FindingCount
from trainyard.model.money import Approval, Cost, Estimate
from trainyard.model.repository import Sha
from trainyard.model.run import (
    ChildCount,
    Claim,
    EvaluationFacet,
    FailureReason,
    Fallback,
    Job,
    LogsFacet,
    Run,
    RunState,
    StopRequest,
    Transition,
)
from trainyard.model.spec import Machines, RunSpec
from trainyard.model.text import Text


class JobPhase(StrEnum):
    """Where a backend's job stands, in the words that all backends share."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Observation(BaseModel):
    """What a backend said about a job at one moment, with what the attempt itself left where it had ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    attempt: int
    """From 1."""
    phase: JobPhase
    at: datetime
    ended_as: RunState | None = None
    """For a phase that ended: the final state that the attempt's result and the backend's reason amount to."""
    exit_code: int | None = None
    failure: FailureReason | None = None
    waiting: Text | None = None
    blocked: bool = False
    """It is not waiting for its turn: something keeps it from starting."""
    started_at: datetime | None = None
    """When the attempt began to run, where the backend says so with a later phase."""
    cost: Cost | None = None
    children: ChildCount | None = None
    """For a sweep: where its trainings stand."""


PLATFORM = "trainyard"
"""Who asked for a stop that no user asked for."""
# An event is delivered five times at most before it is put aside.
_KEPT_JOB_TOKENS = 10
# As often must a backend say that it may have lost a job, before it counts.
LOOKS_BEFORE_LOST = 3
_BETWEEN_DOUBTS = timedelta(seconds=30)
_STATE_OF_PHASE = {
    JobPhase.QUEUED: RunState.QUEUED,
    JobPhase.STARTING: RunState.STARTING,
    JobPhase.RUNNING: RunState.RUNNING,
    JobPhase.SUCCEEDED: RunState.SUCCEEDED,
    JobPhase.FAILED: RunState.FAILED,
}


def admit(
    run: Run,
    spec: RunSpec,
    commit: Sha,
    findings: FindingCount,
    at: datetime,
    *,
    estimate: Estimate | None = None,
    hold: Text | None = None,
) -> Run:
    """Validation found no error: the run may be submitted, with `hold` only after somebody approved it.

    One that was stopped meanwhile stays stopped.
    """
    if run.state is not RunState.REQUESTED:
        return run
    approval = Approval(reason=hold) if hold else None
    return _move(
        run,
        RunState.ADMITTED,
        at,
        spec=spec,
        commit=commit,
        findings=findings,
        estimate=estimate or run.estimate,
        approval=approval,
        waiting=hold,
        children=ChildCount(total=spec.trainings) if spec.is_sweep else None,
    )


def approve(run: Run, by: str, at: datetime) -> Run:
    """Somebody agrees to what it costs: it may be submitted."""
    if not run.awaits_approval:
        return run
    assert run.approval is not None
    return _change(run, at, approval=run.approval.model_copy(update={"by": by, "at": at}), waiting=None)


def reject(run: Run, findings: FindingCount, at: datetime, commit: Sha | None = None) -> Run:
    """Validation found errors: it ends here, before anything was paid for."""
    if run.state is not RunState.REQUESTED:
        return run
    return _move(run, RunState.REJECTED, at, findings=findings, commit=commit or run.commit)


def claim_submission(run: Run, token: str, at: datetime, lease: timedelta, job_token: str | None = None) -> Run:
    """Take the right to submit, for as long as `lease`.

    The caller holds the claim if `token` is in the run that was stored. A claim whose lease has run out belongs to a
    function that died: it may be taken over, because whoever takes it looks the job's name up before submitting.
    `job_token`: SHA-256 of what a job that is submitted now will hold; a job of an earlier claim keeps its own.
    """
    if not run.awaits_submission:
        return run
    if run.claim is not None and run.claim.token != token and at < run.claim.at + lease:
        return run
    job_tokens = [*run.job_tokens, job_token][-_KEPT_JOB_TOKENS:] if job_token else run.job_tokens
    return _change(run, at, claim=Claim(token=token, at=at), job_tokens=job_tokens)


def submitted(run: Run, job: Job, at: datetime) -> Run:
    """The backend took the job. It may have said more about it already, so only the job is noted then."""
    if run.job is not None or _is_void(run, job.id):
        return run
    if run.state is not RunState.ADMITTED:
        return run if run.state.is_final else _change(run, at, job=job, claim=None)
    return _move(run, RunState.QUEUED, at, job=job, claim=None, attempt=1)


def fall_back(run: Run, job_id: str, at: datetime) -> Run:
    """Its job was ended because no spot machine came. Where the user chose so, an on-demand machine is tried next.

    It stays in its queue, as the user sees it: another job takes the place of the one that never ran. One that ran
    and lost its machine does not fall back, because the new job would count its attempts from 1 again.
    """
    chosen = run.spec is not None and run.spec.machines is Machines.SPOT_FIRST and run.attempt <= 1
    waiting = run.state is RunState.QUEUED and run.job is not None and run.job.id == job_id
    if not (chosen and waiting) or run.fallback is not None or run.stop is not None:
        return run
    fallback = Fallback(job_id=job_id, at=at)
    return _change(run, at, job=None, claim=None, fallback=fallback, waiting=_FELL_BACK, blocked_at=None)


def _is_void(run: Run, job_id: str) -> bool:
    return run.fallback is not None and run.fallback.job_id == job_id


_FELL_BACK = Text(
    en="No spot machine came in time, so it waits for an on-demand one now.",
    zh="等待期内没有可用的竞价机器，现改为等待按需机器。",
)


def observe(run: Run, seen: Observation) -> Run:
    """The backend's word on the run's job. Older attempts, other jobs and steps back are ignored."""
    if run.state.is_final or (run.job is not None and run.job.id != seen.job_id) or _is_void(run, seen.job_id):
        return run
    state = seen.ended_as or _STATE_OF_PHASE[seen.phase]
    if (seen.attempt, state.rank) < (run.attempt, run.state.rank):
        return run
    if (seen.attempt, state) == (run.attempt, run.state):
        children, blocked_at = _counted(run, seen), _blocked_at(run, seen)
        known = (run.waiting, run.children, run.blocked_at)
        if (seen.waiting, children, blocked_at) == known and not run.doubts:
            return run
        return _change(
            run, seen.at, waiting=seen.waiting, children=children, blocked_at=blocked_at, doubts=0, doubted_at=None
        )
    return _move(
        _caught_up(run, seen, state),
        state,
        seen.at,
        attempt=seen.attempt,
        waiting=seen.waiting,
        blocked_at=_blocked_at(run, seen),
        exit_code=seen.exit_code,
        failure=seen.failure,
        cost=seen.cost or run.cost,
        children=_counted(run, seen),
        # A submission that is under way has still to note its job, unless that has ended already.
        claim=None if state.is_final or run.job is not None else run.claim,
    )


def doubt(run: Run, job_id: str, at: datetime) -> Run:
    """The backend is not sure whether the run's job is lost. Looks that lie too close together count as one."""
    if run.state.is_final or run.job is None or run.job.id != job_id:
        return run
    if run.doubted_at is not None and at - run.doubted_at < _BETWEEN_DOUBTS:
        return run
    return _change(run, at, doubts=run.doubts + 1, doubted_at=at)


def _blocked_at(run: Run, seen: Observation) -> datetime | None:
    return (run.blocked_at or seen.at) if seen.blocked else None


def _counted(run: Run, seen: Observation) -> ChildCount | None:
    """A count that knows of fewer ended trainings than another is the older one."""
    known, count = run.children, seen.children
    return known if count is None or (known is not None and count.ended < known.ended) else count


def _caught_up(run: Run, seen: Observation, state: RunState) -> Run:
    """Of a short run the end may be heard before the beginning; the timeline shows both all the same."""
    known = {(step.state, step.attempt) for step in run.timeline}
    if not state.is_final or seen.started_at is None or (RunState.RUNNING, seen.attempt) in known:
        return run
    earliest = run.timeline[-1].at if run.timeline else run.created_at
    step = Transition(state=RunState.RUNNING, attempt=seen.attempt, at=max(seen.started_at, earliest))
    return run.model_copy(update={"timeline": [*run.timeline, step]})


def request_stop(run: Run, by: str, at: datetime) -> Run:
    """Somebody wants it stopped. Before a submission it simply stops; afterwards the wish is kept until the end.

    While a submission is under way nobody knows whether there is a job, so the wish waits for the job.
    """
    if run.state.is_final or run.stop is not None:
        return run
    stop = StopRequest(by=by, at=at)
    nothing_submitted = (
        run.state is RunState.REQUESTED or run.awaits_approval or (run.awaits_submission and run.claim is None)
    )
    if nothing_submitted:
        return _move(run, RunState.STOPPED, at, stop=stop)
    return _change(run, at, stop=stop)


def lose_node(run: Run, failure: FailureReason, at: datetime) -> Run:
    """One of its machines failed, and the others would wait for that one for ever: what is left of it is to be ended.

    Backends go by the first machine alone.
    """
    if run.state.is_final or run.stop is not None:
        return run
    return _change(run, at, stop=StopRequest(by=PLATFORM, at=at, failure=failure))


def stop_unsubmitted(run: Run, token: str, at: datetime) -> Run:
    """The holder of the claim looked, found no job, and a stop is wished: it ends without one."""
    holds_claim = run.claim is not None and run.claim.token == token
    if not run.awaits_submission or run.stop is None or not holds_claim:
        return run
    return _move(run, RunState.STOPPED, at, claim=None)


def fail_submission(run: Run, failure: FailureReason, at: datetime) -> Run:
    """The backend refused the job for good."""
    if not run.awaits_submission:
        return run
    return _move(run, RunState.FAILED, at, claim=None, failure=failure)


def logs_indexed(run: Run, logs: LogsFacet, failure: FailureReason | None, at: datetime) -> Run:
    """The log is readable as a whole. What it tells about a failure is more precise than what the backend knew."""
    if run.logs == logs:
        return run
    known = run.failure
    if failure is not None and known is not None:
        failure = failure.model_copy(update={"last_lines": failure.last_lines or known.last_lines})
    return _change(run, at, logs=logs, failure=(failure or known) if run.state is not RunState.SUCCEEDED else known)


def evaluated(run: Run, evaluation: EvaluationFacet, at: datetime) -> Run:
    return run if run.evaluation == evaluation else _change(run, at, evaluation=evaluation)


def end_told(run: Run, at: datetime) -> Run:
    """The git host knows how it stands, now that it has come to rest."""
    return run if not run.is_at_rest or run.reported == run.standing else _change(run, at, reported=run.standing)


def nudge(run: Run, at: datetime) -> Run:
    """Nothing has come of its last event for too long: it is to be sent once more."""
    return run if run.is_settled else _change(run, at, nudges=run.nudges + 1)


def mark_deleted(run: Run, at: datetime) -> Run:
    """Only a run that has ended can be deleted; deleting twice is the same as once."""
    if not run.state.is_final or run.deleted_at is not None:
        return run
    return _change(run, at, deleted_at=at)


def _move(run: Run, state: RunState, at: datetime, **changes: object) -> Run:
    attempt = changes.get("attempt", run.attempt)
    assert isinstance(attempt, int)
    step = Transition(state=state, attempt=attempt, at=at)
    changes.setdefault("waiting", None)
    return _change(run, at, state=state, timeline=[*run.timeline, step], **changes)


def _change(run: Run, at: datetime, **changes: object) -> Run:
    # A late event must not turn the clock back.
    return run.model_copy(update={**changes, "updated_at": max(run.updated_at, at)})
