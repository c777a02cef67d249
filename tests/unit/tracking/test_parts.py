"""What is heard of the trainings of a sweep and of the machines of a run on several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import NOW, a_run, a_spec

from trainyard.compute.contract import ComputeBackend, JobEnd, JobRequest, JobStatus
from trainyard.model.event_name import EventName
from trainyard.model.events import run_event_name
from trainyard.model.lifecycle import JobPhase
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.run import ChildCount, Job, RunState
from trainyard.model.spec import Machines
from trainyard.model.text import Text
from trainyard.runner import reasons
from trainyard.store import State
from trainyard.store.layout import NodeSign, node_id, node_sign_of, node_signs_prefix, result_key
from trainyard.tracking.sweep import sweep_runs
from trainyard.tracking.watch import heard

JOB = Job(backend="aws_batch", id="job-1", queue="arn:q")


class Batch(ComputeBackend):
    """It says of the whole job what the test wants, and counts how often it was asked."""

    name = "aws_batch"

    def __init__(self) -> None:
        self.says: JobStatus | None = status()
        self.asked = self.glanced = 0
        self.nodes: list[JobStatus] = []

    def describe(self, job: Job) -> JobStatus | None:
        self.asked += 1
        return self.says

    def glance(self, job: Job) -> JobStatus | None:
        self.glanced += 1
        return self.says

    def nodes_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
        return self.nodes

    def submit(self, request: JobRequest) -> Job:
        raise NotImplementedError

    def find_by_name(self, run_id: str, queue: str, machines: Machines = Machines.ON_DEMAND) -> Job | None:
        raise NotImplementedError

    def stop(self, job: Job, reason: str) -> None:
        raise NotImplementedError


def status(phase: JobPhase = JobPhase.RUNNING, **changes: Any) -> JobStatus:
    return JobStatus.model_validate({"job": JOB, "run_id": "run-1", "attempt": 1, "phase": phase, **changes})


def of_node(index: int, phase: JobPhase, **changes: Any) -> JobStatus:
    return status(phase, job=JOB.model_copy(update={"id": f"job-1#{index}"}), node=index, **changes)


def of_child(index: int, phase: JobPhase = JobPhase.RUNNING) -> JobStatus:
    return status(phase, job=JOB.model_copy(update={"id": f"job-1:{index}"}), child=index)


@pytest.fixture
def batch() -> Batch:
    return Batch()


@pytest.fixture
def backends(batch: Batch) -> Callable[[str], ComputeBackend]:
    return lambda _name: batch


Backends = Callable[[str], ComputeBackend]


@pytest.fixture
def two_nodes(state: State) -> State:
    state.table.create_run(a_run(state=RunState.RUNNING, job=JOB, attempt=1, spec=a_spec(nodes=2)))
    return state


@pytest.fixture
def sweep(state: State) -> Callable[[int], State]:
    def make(trainings: int) -> State:
        spec = a_spec(hyperparameters={"seed": list(range(trainings))})
        count = ChildCount(total=trainings)
        state.table.create_run(
            a_run(state=RunState.QUEUED, job=JOB, attempt=1, spec=spec, children=count, updated_at=NOW)
        )
        return state

    return make


def test_a_machine_that_fails_ends_the_run_as_failed_and_says_which_and_why(
    two_nodes: State, batch: Batch, backends: Backends
) -> None:
    reason = Text(en="The script ended with exit code 3", zh="脚本以退出码 3 结束")
    result = AttemptResult(
        run_id="run-1", attempt=1, ending=Ending.SCRIPT_FAILED, finished_at=NOW, reason=reason, last_lines=["bad card"]
    )
    two_nodes.objects.put(result_key(node_id("run-1", 1), 1), result.model_dump_json().encode())
    before = two_nodes.table.run("run-1")
    run = heard(two_nodes, of_node(1, JobPhase.FAILED, end=JobEnd.SCRIPT, exit_code=3), backends, NOW)
    assert run is not None
    assert (run.state, run.stop is not None) == (RunState.RUNNING, True)
    assert run_event_name(before, run) == EventName.RUN_STOP_REQUESTED
    # The main machine is stopped, and its runner says so.
    stopped = AttemptResult(run_id="run-1", attempt=1, ending=Ending.STOPPED, finished_at=NOW)
    two_nodes.objects.put(result_key("run-1", 1), stopped.model_dump_json().encode())
    ended = heard(two_nodes, status(JobPhase.FAILED, end=JobEnd.SCRIPT, exit_code=143), backends, NOW)
    assert ended is not None
    assert ended.state is RunState.FAILED
    assert ended.failure is not None
    assert ended.failure.kind == "node"
    assert ended.failure.message.en.startswith("Machine 1 failed")
    assert "exit code 3" in ended.failure.message.en
    assert ended.failure.last_lines == ["bad card"]


def test_of_a_lost_host_the_main_machine_is_told_so_that_all_are_tried_again(
    two_nodes: State, batch: Batch, backends: Backends
) -> None:
    before = two_nodes.table.run("run-1")
    for _twice in range(2):
        assert heard(two_nodes, of_node(1, JobPhase.FAILED, end=JobEnd.HOST), backends, datetime.now(UTC)) == before
    told = [each.key for each in two_nodes.objects.find(node_signs_prefix("run-1", 1))]
    assert [node_sign_of(key) for key in told] == [(1, NodeSign.LOST)]
    batch.says = status(JobPhase.QUEUED, attempt=2)
    run = heard(two_nodes, batch.says, backends, datetime.now(UTC))
    assert run is not None
    assert (run.state, run.attempt, run.stop) == (RunState.QUEUED, 2, None)


def test_a_main_machine_that_ends_for_a_lost_one_fails_the_run_once_no_attempt_is_left(
    two_nodes: State, backends: Backends
) -> None:
    result = AttemptResult(
        run_id="run-1", attempt=1, ending=Ending.NODE_LOST, exit_code=75, finished_at=NOW, reason=reasons.node_lost(1)
    )
    two_nodes.objects.put(result_key("run-1", 1), result.model_dump_json().encode())
    run = heard(two_nodes, status(JobPhase.FAILED, end=JobEnd.SCRIPT, exit_code=75), backends, NOW)
    assert run is not None
    assert run.failure is not None
    assert (run.state, run.failure.kind) == (RunState.FAILED, "host")
    assert "Machine 1 was lost" in run.failure.message.en
    assert "retries" in run.failure.message.zh


def test_where_nothing_comes_of_that_the_run_is_ended(two_nodes: State, batch: Batch, backends: Backends) -> None:
    batch.nodes = [of_node(1, JobPhase.FAILED, end=JobEnd.HOST)]
    now = datetime.now(UTC)
    for minutes in (0, 10):
        sweep_runs(two_nodes, backends, now + timedelta(minutes=minutes))
        run = two_nodes.table.run("run-1")
        assert run is not None
        assert run.stop is None
    sweep_runs(two_nodes, backends, now + timedelta(minutes=20))
    run = two_nodes.table.run("run-1")
    assert run is not None
    assert run.stop is not None
    assert run.stop.failure is not None
    assert "lost or reclaimed" in run.stop.failure.message.en


@pytest.mark.parametrize("phase", [JobPhase.STARTING, JobPhase.RUNNING, JobPhase.SUCCEEDED])
def test_what_else_is_heard_of_a_machine_changes_nothing(two_nodes: State, backends: Backends, phase: JobPhase) -> None:
    before = two_nodes.table.run("run-1")
    assert heard(two_nodes, of_node(1, phase), backends, NOW) == before
    assert heard(two_nodes, of_node(0, JobPhase.FAILED, end=JobEnd.SCRIPT), backends, NOW) == before


def test_the_sweep_finds_a_machine_that_failed_unheard(two_nodes: State, batch: Batch, backends: Backends) -> None:
    batch.nodes = [of_node(1, JobPhase.FAILED, end=JobEnd.SCRIPT)]
    sweep_runs(two_nodes, backends, NOW)
    run = two_nodes.table.run("run-1")
    assert run is not None
    assert run.stop is not None
    assert run.stop.failure is not None


def test_machines_that_end_with_the_main_one_did_not_fail(two_nodes: State, batch: Batch, backends: Backends) -> None:
    batch.says = status(JobPhase.SUCCEEDED, exit_code=0)
    run = heard(two_nodes, of_node(1, JobPhase.FAILED, end=JobEnd.STOPPED), backends, NOW)
    assert run is not None
    assert (run.state, run.stop) == (RunState.SUCCEEDED, None)


def test_nor_do_those_that_end_while_the_main_one_s_end_is_not_known_yet(two_nodes: State, backends: Backends) -> None:
    result = AttemptResult(run_id="run-1", attempt=1, ending=Ending.SUCCEEDED, finished_at=NOW)
    two_nodes.objects.put(result_key("run-1", 1), result.model_dump_json().encode())
    run = heard(two_nodes, of_node(1, JobPhase.FAILED, end=JobEnd.STOPPED), backends, NOW)
    assert run is not None
    assert (run.state, run.stop) == (RunState.RUNNING, None)


def test_a_machine_of_an_earlier_attempt_is_no_news(two_nodes: State, batch: Batch, backends: Backends) -> None:
    batch.says = status(JobPhase.RUNNING, attempt=2)
    run = heard(two_nodes, of_node(1, JobPhase.FAILED, end=JobEnd.HOST), backends, NOW)
    assert run is not None
    assert run.stop is None


def test_a_training_that_moves_on_makes_the_whole_be_counted(
    sweep: Callable[[int], State], batch: Batch, backends: Backends
) -> None:
    state = sweep(3)
    batch.says = status(JobPhase.RUNNING, children=ChildCount(total=3, running=2, succeeded=1))
    run = heard(state, of_child(1), backends, NOW)
    assert run is not None
    assert (run.state, run.children) == (RunState.RUNNING, ChildCount(total=3, running=2, succeeded=1))
    # An older count that comes late takes nothing back.
    batch.says = status(JobPhase.RUNNING, children=ChildCount(total=3, running=3))
    late = heard(state, of_child(2), backends, NOW)
    assert late is not None
    assert late.children == run.children


def test_a_sweep_that_ends_counts_all_and_fails_with_one(
    sweep: Callable[[int], State], batch: Batch, backends: Backends
) -> None:
    state = sweep(2)
    batch.says = status(
        JobPhase.FAILED, end=JobEnd.CHILDREN, children=ChildCount(total=2, succeeded=1, failed=1), seconds=3600
    )
    run = heard(state, batch.says, backends, NOW)
    assert run is not None
    assert (run.state, run.children) == (RunState.FAILED, ChildCount(total=2, succeeded=1, failed=1))
    assert run.failure is not None
    assert run.failure.kind == "children"
    assert run.cost is not None
    assert run.cost.seconds == 3600


def test_the_end_of_a_sweep_is_not_taken_from_one_of_its_trainings(
    sweep: Callable[[int], State], batch: Batch, backends: Backends
) -> None:
    """Hundreds of their events may come at that moment, and each would ask after all trainings."""
    state = sweep(51)
    later = NOW + timedelta(seconds=10)
    batch.says = status(JobPhase.SUCCEEDED, children=ChildCount(total=51, succeeded=51))
    run = heard(state, of_child(50, JobPhase.SUCCEEDED), backends, later)
    assert run is not None
    assert (run.state, batch.asked, batch.glanced) == (RunState.QUEUED, 0, 1)
    run = heard(state, batch.says, backends, later)
    assert run is not None
    assert (run.state, batch.asked) == (RunState.SUCCEEDED, 1)


def test_of_a_large_sweep_the_row_is_written_every_few_seconds(
    sweep: Callable[[int], State], batch: Batch, backends: Backends
) -> None:
    state = sweep(51)
    batch.says = status(JobPhase.RUNNING, children=ChildCount(total=51, running=1))
    heard(state, of_child(0), backends, NOW + timedelta(seconds=9))
    assert batch.glanced == 0
    for index in range(20):
        run = heard(state, of_child(index), backends, NOW + timedelta(seconds=10 + index / 4))
    assert run is not None
    assert (batch.glanced, run.children) == (1, ChildCount(total=51, running=1))


def test_a_training_that_nobody_is_known_to_have_submitted_changes_nothing(state: State, backends: Backends) -> None:
    assert heard(state, of_child(0), backends, NOW) is None
