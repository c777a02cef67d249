"""Runs whose backend has to be asked: looked after while there are some, and not a minute longer."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import Any

import pytest
from builders import NOW, a_run, a_spec

from trainyard.compute.contract import ComputeBackend, JobEnd, JobRequest, JobStatus
from trainyard.model.lifecycle import JobPhase
from trainyard.model.run import Job, Run, RunState
from trainyard.model.spec import Machines
from trainyard.store import State, layout
from trainyard.store.log_end import log_end
from trainyard.tracking import watch
from trainyard.tracking.watch import heard, watch_runs

JOB = Job(backend="far", id="run-far", queue="ascend")


class Far(ComputeBackend):
    """A backend that says what the test wants."""

    name = "far"
    must_be_asked = True

    def __init__(self) -> None:
        self.says = JobStatus(job=JOB, run_id=JOB.id, attempt=1, phase=JobPhase.RUNNING)
        self.log = b""
        self.stopped: list[str] = []

    def submit(self, request: JobRequest) -> Job:
        raise NotImplementedError

    def find_by_name(self, run_id: str, queue: str, machines: Machines = Machines.ON_DEMAND) -> Job | None:
        return JOB

    def describe(self, job: Job) -> JobStatus | None:
        return self.says

    def live_log(self, job: Job, offset: int, node: int = 0) -> bytes:
        return self.log[offset:] if not node else b"of machine %d\n"[offset:] % node

    def stop(self, job: Job, reason: str) -> None:
        self.stopped.append(reason)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Far:
    return Far()


@pytest.fixture
def switched(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    done: list[bool] = []
    monkeypatch.setattr(watch, "switch", lambda *, on: done.append(on))
    return done


def stored(state: State, **changes: Any) -> Run:
    made = a_run(JOB.id, state=RunState.QUEUED, job=JOB, attempt=1, **changes)
    state.table.create_run(made)
    return made


def test_without_such_runs_the_schedule_is_off(state: State, far: Far, switched: list[bool]) -> None:
    assert watch_runs(state, lambda _: far) == 0
    assert switched == [False]


def test_while_there_is_one_it_stays_on_and_the_run_moves(state: State, far: Far, switched: list[bool]) -> None:
    stored(state)
    assert watch_runs(state, lambda _: far) == 1
    assert switched == []
    known = state.table.run(JOB.id)
    assert known is not None
    assert known.state is RunState.RUNNING


def test_one_that_comes_while_it_is_switched_off_is_not_forgotten(
    state: State, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[bool] = []

    def switch(*, on: bool) -> None:
        done.append(on)
        if not on:
            stored(state)

    monkeypatch.setattr(watch, "switch", switch)
    assert watch_runs(state, lambda _: far) == 1
    assert done == [False, True]


def test_a_wish_to_stop_is_carried_each_time(state: State, far: Far, switched: list[bool]) -> None:
    from trainyard.model.run import StopRequest

    stored(state, stop=StopRequest(by="ann", at=NOW))
    watch_runs(state, lambda _: far)
    watch_runs(state, lambda _: far)
    assert far.stopped == ["stopped by ann", "stopped by ann"]


def test_the_log_is_kept_in_chunks_as_every_runs(state: State, far: Far, switched: list[bool]) -> None:
    stored(state)
    for far.log in (b"one\n", b"one\ntwo\n", b"one\ntwo\n"):
        watch_runs(state, lambda _: far)
    assert log_end(state.objects, JOB.id, 1) == len(b"one\ntwo\n")
    assert [entry.key[-19:-3] for entry in state.objects.find(f"runs/{JOB.id}/attempts/1/log/")] == [
        f"{0:016d}", f"{4:016d}",
    ]  # fmt: skip


def test_each_machines_log_is_kept_in_its_own_place(state: State, far: Far, switched: list[bool]) -> None:
    stored(state, spec=a_spec(nodes=2))
    far.log = b"one\n"
    watch_runs(state, lambda _: far)
    assert log_end(state.objects, JOB.id, 1) == len(b"one\n")
    (chunk,) = state.objects.find(layout.log_chunk_prefix(layout.node_id(JOB.id, 1), 1))
    assert gzip.decompress(state.objects.get(chunk.key)) == b"of machine 1\n"


def test_a_job_counts_as_lost_after_several_looks_only(state: State, far: Far, switched: list[bool]) -> None:
    stored(state)
    lost = far.says.model_copy(update={"phase": JobPhase.FAILED, "end": JobEnd.HOST, "doubtful": True})
    far.says = lost
    at = NOW
    for _ in range(2):
        # Two looks at nearly the same moment are one.
        watch_runs(state, lambda _: far, at)
        watch_runs(state, lambda _: far, at + timedelta(seconds=1))
        at += timedelta(minutes=1)
    known = state.table.run(JOB.id)
    assert known is not None
    assert (known.state, known.doubts) == (RunState.QUEUED, 2)
    watch_runs(state, lambda _: far, at)
    known = state.table.run(JOB.id)
    assert known is not None
    assert known.state is RunState.FAILED
    assert known.failure is not None
    assert known.failure.kind == "host"


def test_a_job_that_comes_back_is_not_doubted_any_more(state: State, far: Far, switched: list[bool]) -> None:
    stored(state)
    running = far.says
    watch_runs(state, lambda _: far, NOW)
    far.says = running.model_copy(update={"phase": JobPhase.FAILED, "end": JobEnd.HOST, "doubtful": True})
    watch_runs(state, lambda _: far, NOW + timedelta(minutes=1))
    far.says = running
    watch_runs(state, lambda _: far, NOW + timedelta(minutes=2))
    known = state.table.run(JOB.id)
    assert known is not None
    assert (known.state, known.doubts) == (RunState.RUNNING, 0)


def test_what_batch_says_of_a_carrier_is_only_a_reason_to_look(
    state: State, far: Far, switched: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(state)
    for name in (JOB.id, f"{JOB.id}-out"):
        carrier = Job(backend="aws_batch", id="batch-1", queue="q")
        heard(state, JobStatus(job=carrier, run_id=name, attempt=1, phase=JobPhase.SUCCEEDED), lambda _: far)
        known = state.table.run(JOB.id)
        assert known is not None
        assert known.state is RunState.RUNNING


def test_one_run_that_cannot_be_looked_at_keeps_nobody_from_the_others(
    state: State, far: Far, switched: list[bool]
) -> None:
    stored(state)
    broken = Job(backend="far", id="run-broken", queue="ascend")
    state.table.create_run(a_run(broken.id, state=RunState.QUEUED, job=broken, attempt=1))
    state.objects.put(layout.log_chunk_key(broken.id, 1, 0), b"no gzip")
    with pytest.raises(ExceptionGroup) as told:
        watch_runs(state, lambda _: far)
    assert [error.__notes__ for error in told.value.exceptions] == [["while run-broken was looked at"]]
    known = state.table.run(JOB.id)
    assert known is not None
    assert known.state is RunState.RUNNING
    assert switched == []
