"""The run's state machine under any order and repetition of what may happen to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trainyard.model import lifecycle
from trainyard.model.events import run_event_name
from trainyard.model.finding import FindingCount
from trainyard.model.lifecycle import JobPhase, Observation
from trainyard.model.run import FailureReason, Job, Origin, Run, RunState
from trainyard.model.spec import RunSpec
from trainyard.model.text import Text

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=90)
SPEC = RunSpec(boot_file="train.py", framework="python-cpu", flavor="cpu")
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
        self.stop_wished = False

    def _set(self, run: Run) -> None:
        if run is not self.run:
            self.run = run
            self.history.append(run)

    @rule(seconds=st.integers(0, 120))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def admit(self) -> None:
        self._set(lifecycle.admit(self.run, SPEC, "a" * 40, FindingCount(), self.now))

    @rule()
    def reject(self) -> None:
        self._set(lifecycle.reject(self.run, FindingCount(errors=1), self.now))

    @rule(submitter=st.sampled_from(["one", "two"]))
    def submit(self, submitter: str) -> None:
        """What `submission.submit` does, one submitter at a time, as the conditional write makes sure."""
        self._set(lifecycle.claim_submission(self.run, submitter, self.now, LEASE))
        if self.run.state is not RunState.ADMITTED or self.run.claim is None or self.run.claim.token != submitter:
            return
        if not self.jobs:
            if self.run.stop is not None:
                self._set(lifecycle.stop_unsubmitted(self.run, submitter, self.now))
                return
            self.jobs.append("job-1")
        self._set(lifecycle.submitted(self.run, Job(backend="aws_batch", id=self.jobs[0]), self.now))

    @rule(submitter=st.sampled_from(["one", "two"]))
    def die_while_submitting(self, submitter: str) -> None:
        """The job is made and the function dies before it can say so."""
        self._set(lifecycle.claim_submission(self.run, submitter, self.now, LEASE))
        holds = self.run.claim is not None and self.run.claim.token == submitter
        if self.run.state is RunState.ADMITTED and holds and not self.jobs and self.run.stop is None:
            self.jobs.append("job-1")

    @rule(phase=PHASES, attempt=st.integers(1, 3), ended=FINAL)
    def backend_speaks(self, phase: JobPhase, attempt: int, ended: RunState) -> None:
        if not self.jobs:
            return
        seen = Observation(
            job_id=self.jobs[0],
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
        self._set(lifecycle.request_stop(self.run, "demo", self.now))

    @rule()
    def refuse(self) -> None:
        if not self.jobs:
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
        assert len(self.jobs) <= 1
        if self.run.job is not None:
            assert self.run.job.id == self.jobs[0]

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


RunMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestRunMachine = RunMachine.TestCase
