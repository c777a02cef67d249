"""The run's state machine under any order and repetition of what may happen to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trainyard.model import lifecycle
from trainyard.model.event_name import EventName
from trainyard.model.events import run_event_name
from trainyard.model.finding import FindingCount
from trainyard.model.lifecycle import JobPhase, Observation
from trainyard.model.run import FailureReason, Job, Origin, Run, RunState
from trainyard.model.spec import Machines, RunSpec
from trainyard.model.text import Text

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=90)
SPEC = RunSpec(boot_file="train.py", framework="python-cpu", flavor="cpu", machines=Machines.SPOT_FIRST)
FAILURE = FailureReason(kind="platform", message=Text(en="no", zh="否"))
PHASES = st.sampled_from(list(JobPhase))
FINAL = st.sampled_from([RunState.FAILED, RunState.STOPPED, RunState.TIMED_OUT])


class RunMachine(RuleBasedStateMachine):
    """Two submitters (two deliveries of one event) and a backend whose words come in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.run = Run(
            id="run-0",
            name="a",
            project="demo/a",
            origin=Origin.API,
            requested_by="demo",
            created_at=START,
            updated_at=START,
        )
        self.history = [self.run]
        self.now = START
        self.jobs: list[str] = []
        self.void: set[str] = set()
        """Jobs that ended because no machine came, and that were given up for another."""
        self.held = False
        self.stop_wished = False

    def _set(self, run: Run) -> None:
        if run is not self.run:
            self.run = run
            self.history.append(run)

    @rule(seconds=st.integers(0, 120))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @property
    def live(self) -> list[str]:
        return [job for job in self.jobs if job not in self.void]

    @rule(over_budget=st.booleans())
    def admit(self, over_budget: bool) -> None:
        if self.run.state is RunState.REQUESTED:
            self.held = over_budget
        hold = Text(en="too much", zh="超出") if over_budget else None
        self._set(lifecycle.admit(self.run, SPEC, "a" * 40, FindingCount(), self.now, hold=hold))

    @rule()
    def approve(self) -> None:
        if self.run.state is RunState.ADMITTED:
            self.held = False
        self._set(lifecycle.approve(self.run, "boss", self.now))

    @rule()
    def reject(self) -> None:
        self._set(lifecycle.reject(self.run, FindingCount(errors=1), self.now))

    @rule(submitter=st.sampled_from(["one", "two"]))
    def submit(self, submitter: str) -> None:
        """What `submission.submit` does, one submitter at a time, as the conditional write makes sure."""
        self._set(lifecycle.claim_submission(self.run, submitter, self.now, LEASE))
        if not self._may_submit(submitter):
            return
        if not self.live:
            if self.run.stop is not None:
                self._set(lifecycle.stop_unsubmitted(self.run, submitter, self.now))
                return
            self._make_job()
        self._set(lifecycle.submitted(self.run, Job(backend="aws_batch", id=self.live[0]), self.now))

    @rule(submitter=st.sampled_from(["one", "two"]))
    def die_while_submitting(self, submitter: str) -> None:
        """The job is made and the function dies before it can say so."""
        self._set(lifecycle.claim_submission(self.run, submitter, self.now, LEASE))
        if self._may_submit(submitter) and not self.live and self.run.stop is None:
            self._make_job()

    @rule(submitter=st.sampled_from(["one", "two"]))
    def claim_and_die(self, submitter: str) -> None:
        self._set(lifecycle.claim_submission(self.run, submitter, self.now, LEASE))

    def _may_submit(self, submitter: str) -> bool:
        return self.run.awaits_submission and self.run.claim is not None and self.run.claim.token == submitter

    def _make_job(self) -> None:
        assert not self.held, "nothing is submitted before somebody approved it"
        self.jobs.append(f"job-{len(self.jobs) + 1}")

    @rule()
    def no_machine_comes(self) -> None:
        """What `tracking.track` does when a queue's time limit ends a job."""
        if not self.live:
            return
        job = self.live[0]
        before = self.run
        self._set(lifecycle.fall_back(self.run, job, self.now))
        if self.run is not before:
            self.void.add(job)
            assert run_event_name(before, self.run) is EventName.RUN_ADMITTED
            return
        ended = RunState.STOPPED if self.run.stop else RunState.FAILED
        seen = Observation(job_id=job, attempt=1, phase=JobPhase.FAILED, at=self.now, ended_as=ended)
        self._set(lifecycle.observe(self.run, seen))

    @rule(phase=PHASES, ended=FINAL)
    def late_word_of_a_void_job(self, phase: JobPhase, ended: RunState) -> None:
        for job in self.void:
            seen = Observation(
                job_id=job, attempt=1, phase=phase, at=self.now, ended_as=ended if phase is JobPhase.FAILED else None
            )
            assert lifecycle.observe(self.run, seen) is self.run
            assert lifecycle.submitted(self.run, Job(backend="aws_batch", id=job), self.now) is self.run

    @rule(phase=PHASES, attempt=st.integers(1, 3), ended=FINAL)
    def backend_speaks(self, phase: JobPhase, attempt: int, ended: RunState) -> None:
        if not self.live:
            return
        seen = Observation(
            job_id=self.live[0],
            attempt=attempt,
            phase=phase,
            at=self.now,
            ended_as=ended if phase is JobPhase.FAILED else None,
            started_at=self.now - timedelta(seconds=30),
        )
        self._set(lifecycle.observe(self.run, seen))

    @rule()
    def stop(self) -> None:
        if not self.run.state.is_final:
            self.stop_wished = True
        before = self.run
        self._set(lifecycle.request_stop(self.run, "demo", self.now))
        if self.run.state is RunState.STOPPED and not before.state.is_final:
            assert not self.live, "a job that goes on costing money was forgotten"

    @rule()
    def refuse(self) -> None:
        if not self.live:
            self._set(lifecycle.fail_submission(self.run, FAILURE, self.now))

    @rule()
    def nudge(self) -> None:
        self._set(lifecycle.nudge(self.run, self.now))

    @invariant()
    def never_backwards(self) -> None:
        for before, after in zip(self.history, self.history[1:], strict=False):
            assert (before.attempt, before.state.rank) <= (after.attempt, after.state.rank)
            if before.state.is_final:
                assert after.state is before.state
        steps = [(step.attempt, step.state.rank) for step in self.run.timeline]
        assert steps == sorted(steps)

    @invariant()
    def never_two_jobs(self) -> None:
        assert len(self.live) <= 1
        assert len(self.jobs) <= 2
        if self.run.job is not None:
            assert self.run.job.id == self.live[0]

    @invariant()
    def what_waits_for_approval_has_no_job(self) -> None:
        if self.held:
            assert not self.jobs
            assert self.run.claim is None

    @invariant()
    def a_stop_is_never_lost(self) -> None:
        if self.stop_wished:
            assert self.run.stop is not None
        if self.run.state is RunState.STOPPED and not self.jobs:
            assert self.run.stop is not None

    @invariant()
    def a_rejected_run_has_no_job(self) -> None:
        if self.run.state is RunState.REJECTED:
            assert not self.jobs

    @invariant()
    def every_new_state_speaks(self) -> None:
        for before, after in zip(self.history, self.history[1:], strict=False):
            if (before.state, before.attempt) != (after.state, after.attempt):
                assert run_event_name(before, after) is not None


RunMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestRunMachine = RunMachine.TestCase
