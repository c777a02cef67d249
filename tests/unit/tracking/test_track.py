"""A backend's word and what the attempt left, together."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders import NOW, a_run, a_spec

from trainyard.compute.contract import ComputeBackend, JobEnd, JobStatus
from trainyard.model import lifecycle
from trainyard.model.event_name import EventName
from trainyard.model.events import run_event_name
from trainyard.model.lifecycle import JobPhase
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.run import Job, RunState
from trainyard.model.spec import Machines
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.layout import result_key
from trainyard.tracking.sweep import STANDSTILL, sweep_runs
from trainyard.tracking.track import track_job

JOB = Job(backend="aws_batch", id="job-1", queue="arn:q")


def status(phase: JobPhase, attempt: int = 1, end: JobEnd | None = None, **changes: object) -> JobStatus:
    values = {"job": JOB, "run_id": "run-1", "attempt": attempt, "phase": phase, "end": end}
    return JobStatus.model_validate({**values, **changes})


def leave_result(state: State, ending: Ending, attempt: int = 1, **changes: object) -> None:
    result = AttemptResult.model_validate(
        {"run_id": "run-1", "attempt": attempt, "ending": ending, "finished_at": NOW, **changes}
    )
    state.objects.put(result_key("run-1", attempt), result.model_dump_json().encode())


@pytest.fixture
def queued(state: State) -> State:
    state.table.create_run(a_run(state=RunState.QUEUED, job=JOB, attempt=1))
    return state


def test_the_ordinary_way(queued: State) -> None:
    for phase in (JobPhase.STARTING, JobPhase.RUNNING):
        track_job(queued, status(phase), NOW)
    leave_result(queued, Ending.SUCCEEDED, exit_code=0)
    run = track_job(queued, status(JobPhase.SUCCEEDED, exit_code=0), NOW)
    assert run is not None
    assert [step.state.value for step in run.timeline] == ["starting", "running", "succeeded"]
    assert run.failure is None


def test_events_out_of_order_end_the_same(queued: State) -> None:
    leave_result(queued, Ending.SUCCEEDED, exit_code=0)
    for phase in (JobPhase.SUCCEEDED, JobPhase.STARTING, JobPhase.RUNNING, JobPhase.SUCCEEDED):
        run = track_job(queued, status(phase), NOW)
    assert run is not None
    assert (run.state, run.version) == (RunState.SUCCEEDED, 1)


def test_an_end_that_is_heard_first_still_shows_the_beginning(queued: State) -> None:
    leave_result(queued, Ending.SUCCEEDED, exit_code=0)
    run = track_job(queued, status(JobPhase.SUCCEEDED, started_at=NOW), NOW + timedelta(seconds=3))
    assert run is not None
    assert [(step.state.value, step.at) for step in run.timeline] == [
        ("running", NOW),
        ("succeeded", NOW + timedelta(seconds=3)),
    ]
    assert track_job(queued, status(JobPhase.RUNNING), NOW) == run


def test_a_job_that_is_not_ours_is_ignored(queued: State) -> None:
    assert track_job(queued, status(JobPhase.RUNNING, run_id="somebody-elses"), NOW) is None
    other = status(JobPhase.RUNNING, job=Job(backend="aws_batch", id="job-2"))
    assert track_job(queued, other, NOW).state is RunState.QUEUED  # type: ignore[union-attr]


def test_a_failed_script_says_why(queued: State) -> None:
    reason = Text(en="The script ended with exit code 1.", zh="脚本以退出码 1 结束。")
    leave_result(queued, Ending.SCRIPT_FAILED, exit_code=1, reason=reason, last_lines=["Traceback", "ValueError: x"])
    run = track_job(queued, status(JobPhase.FAILED, end=JobEnd.SCRIPT, exit_code=1), NOW)
    assert run is not None
    assert run.failure is not None
    assert (run.state, run.exit_code, run.failure.kind) == (RunState.FAILED, 1, "script")
    assert run.failure.last_lines == ["Traceback", "ValueError: x"]


@pytest.mark.parametrize(
    ("ending", "end", "stop", "expected"),
    [
        (Ending.STOPPED, JobEnd.SCRIPT, True, RunState.STOPPED),
        (Ending.TIMED_OUT, JobEnd.SCRIPT, False, RunState.TIMED_OUT),
        (None, JobEnd.TIMED_OUT, False, RunState.TIMED_OUT),
        (Ending.STOPPED, JobEnd.TIMED_OUT, False, RunState.TIMED_OUT),
        (Ending.STOPPED, JobEnd.HOST, False, RunState.FAILED),
        (None, JobEnd.HOST, False, RunState.FAILED),
        (None, JobEnd.HOST, True, RunState.STOPPED),
        (None, JobEnd.STOPPED, True, RunState.STOPPED),
        (Ending.SCRIPT_FAILED, JobEnd.SCRIPT, True, RunState.FAILED),
        (Ending.SETUP_FAILED, JobEnd.SCRIPT, False, RunState.FAILED),
        (Ending.SHIPPING_FAILED, JobEnd.SCRIPT, False, RunState.FAILED),
        (None, JobEnd.OUT_OF_MEMORY, False, RunState.FAILED),
    ],
)
def test_how_it_ended(queued: State, ending: Ending | None, end: JobEnd, stop: bool, expected: RunState) -> None:
    if stop:
        queued.table.change_run("run-1", lambda run: lifecycle.request_stop(run, "demo", NOW))
    if ending is not None:
        leave_result(queued, ending)
    run = track_job(queued, status(JobPhase.FAILED, end=end, reason="because"), NOW)
    assert run is not None
    assert run.state is expected
    assert (run.failure is not None) == (expected in (RunState.FAILED, RunState.TIMED_OUT))


def test_the_result_is_that_of_the_attempt_that_ended(queued: State) -> None:
    leave_result(queued, Ending.TIMED_OUT, attempt=1)
    leave_result(queued, Ending.SCRIPT_FAILED, attempt=2, exit_code=9)
    run = track_job(queued, status(JobPhase.FAILED, attempt=2, end=JobEnd.SCRIPT), NOW)
    assert run is not None
    assert (run.attempt, run.state, run.exit_code) == (2, RunState.FAILED, 9)


def test_the_bill_is_that_of_all_attempts(queued: State) -> None:
    track_job(queued, status(JobPhase.RUNNING, attempt=2, seconds=3600.0), NOW)
    run = track_job(queued, status(JobPhase.FAILED, attempt=2, end=JobEnd.HOST, seconds=7200.0), NOW)
    assert run is not None
    assert run.cost is not None
    assert (run.cost.seconds, run.cost.usd) == (7200.0, 1.0584)


def test_what_never_ran_costs_nothing(queued: State) -> None:
    run = track_job(queued, status(JobPhase.FAILED, end=JobEnd.IMPOSSIBLE), NOW)
    assert run is not None
    assert run.cost is not None
    assert run.failure is not None
    assert (run.cost.usd, run.failure.kind) == (0, "capacity")


def spot_first(state: State, **changes: object) -> None:
    spec = a_spec(machines="spot_first")
    state.table.create_run(a_run("run-1", state=RunState.QUEUED, job=JOB, attempt=1, spec=spec, **changes))


def test_without_a_spot_machine_it_is_to_be_submitted_again(state: State) -> None:
    spot_first(state)
    before = state.table.run("run-1")
    run = track_job(state, status(JobPhase.FAILED, end=JobEnd.NO_CAPACITY), NOW)
    assert run is not None
    assert (run.state, run.job, run.machines) == (RunState.QUEUED, None, Machines.ON_DEMAND)
    assert run.awaits_submission
    assert run_event_name(before, run) is EventName.RUN_ADMITTED
    assert track_job(state, status(JobPhase.FAILED, end=JobEnd.NO_CAPACITY), NOW) == run
    assert sweep_runs(state, lambda _: StandIn(None), NOW + STANDSTILL + timedelta(seconds=1)).nudged == 1


def test_a_stop_wins_over_falling_back(state: State) -> None:
    spot_first(state)
    state.table.change_run("run-1", lambda run: lifecycle.request_stop(run, "demo", NOW))
    run = track_job(state, status(JobPhase.FAILED, end=JobEnd.NO_CAPACITY), NOW)
    assert run is not None
    assert run.state is RunState.STOPPED


def test_who_chose_spot_alone_is_told(queued: State) -> None:
    run = track_job(queued, status(JobPhase.FAILED, end=JobEnd.NO_CAPACITY), NOW)
    assert run is not None
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert "no machine of this flavor" in run.failure.message.en


class StandIn(ComputeBackend):
    """A backend that only describes."""

    name = "aws_batch"

    def __init__(self, answer: JobStatus | None) -> None:
        self.answer = answer

    def describe(self, job: Job) -> JobStatus | None:
        return self.answer

    def submit(self, request: object) -> Job:
        raise NotImplementedError

    def find_by_name(self, run_id: str, queue: str, machines: Machines = Machines.ON_DEMAND) -> Job | None:
        raise NotImplementedError

    def stop(self, job: Job, reason: str) -> None:
        raise NotImplementedError


def test_the_sweep_hears_of_an_end_that_no_event_told(queued: State) -> None:
    leave_result(queued, Ending.SUCCEEDED, exit_code=0)
    done = sweep_runs(queued, lambda _: StandIn(status(JobPhase.SUCCEEDED)), NOW)
    assert (done.looked_at, done.moved) == (1, 1)
    assert queued.table.run("run-1").state is RunState.SUCCEEDED  # type: ignore[union-attr]


def test_the_sweep_sends_again_what_nothing_came_of(state: State) -> None:
    state.table.create_run(a_run(state=RunState.ADMITTED))
    before = state.table.run("run-1")
    assert sweep_runs(state, lambda _: StandIn(None), NOW + timedelta(minutes=1)).nudged == 0
    assert sweep_runs(state, lambda _: StandIn(None), NOW + STANDSTILL + timedelta(seconds=1)).nudged == 1
    after = state.table.run("run-1")
    assert after is not None
    assert run_event_name(before, after) is EventName.RUN_ADMITTED


def test_the_sweep_has_told_what_no_git_host_heard(state: State) -> None:
    state.table.create_run(a_run(state=RunState.REJECTED))
    assert sweep_runs(state, lambda _: StandIn(None), NOW + timedelta(hours=1)).nudged == 1
    state.table.change_run("run-1", lambda run: lifecycle.end_told(run, NOW + timedelta(hours=1)))
    assert sweep_runs(state, lambda _: StandIn(None), NOW + timedelta(hours=2)).nudged == 0
