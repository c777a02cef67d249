"""What events may have missed: jobs whose end nobody heard of, runs that stand still, ends that nothing came of,
statuses that no git host was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from trainyard.compute.contract import ComputeBackend
from trainyard.model import lifecycle
from trainyard.model.report import NOBODY
from trainyard.model.run import Run, RunState, StopRequest
from trainyard.model.settings import settings
from trainyard.model.spec import Machines
from trainyard.store import State
from trainyard.store.table import Page
from trainyard.tracking.track import track_job, track_node
from trainyard.tracking.waiting import explained
from trainyard.tracking.watch import look_after

# Longer than a slow way through every queue with its retries.
STANDSTILL = timedelta(minutes=10)
# A host that is away for longer hears of what comes next.
_MOST_NUDGES_TO_TELL = 10


@dataclass
class Sweep:
    """What one sweep did."""

    looked_at: int = 0
    moved: int = 0
    """Runs whose job had gone further than was known."""
    nudged: int = 0
    """Runs whose last event was sent once more."""
    stopped: int = 0
    """Runs whose job was told once more that somebody wants it to end."""


def sweep_runs(state: State, backends: Callable[[str], ComputeBackend], now: datetime | None = None) -> Sweep:
    """Look at every run that has not ended, or of which something is still to come."""
    at = now or datetime.now(UTC)
    done = Sweep()
    for run in _all(state.table.unsettled_runs):
        done.looked_at += 1
        _nudge_if_still(state, run, at, done)
    for run in _all(state.table.active_runs):
        done.looked_at += 1
        _mend(state, run, backends, at, done)
    return done


def _all(pages: Callable[[int, str | None], Page[Run]]) -> Iterator[Run]:
    cursor = None
    while True:
        page = pages(100, cursor)
        yield from page.rows
        cursor = page.cursor
        if cursor is None:
            return


def _mend(state: State, run: Run, backends: Callable[[str], ComputeBackend], at: datetime, done: Sweep) -> None:
    after = _mend_job(state, run, backends, at, done)
    if after is not None and _is_untold(state, after, at):
        _nudge_if_still(state, after, at, done)


def _is_untold(state: State, run: Run, at: datetime) -> bool:
    """Whether its git host has still to hear how it stands, though it has stood so for long."""
    if run.state.is_final or at - run.updated_at <= STANDSTILL or run.nudges >= _MOST_NUDGES_TO_TELL:
        return False
    report = state.table.report(run.id)
    return report is None or report.told not in (run.standing, NOBODY)


def _mend_job(
    state: State, run: Run, backends: Callable[[str], ComputeBackend], at: datetime, done: Sweep
) -> Run | None:
    """The run after a look at its job, or None where it was nudged or is gone."""
    if run.job is not None:
        backend = backends(run.job.backend)
        if backend.must_be_asked:
            after = look_after(state, run, backends, at)
        else:
            status = backend.describe(run.job)
            after = track_job(state, explained(backend, status), at) if status is not None else run
            if after is not None and after.stop is not None and _should_have_ended(after, after.stop, at):
                backend.stop(run.job, after.stop.reason)
                done.stopped += 1
            if status is not None and after is not None and status.blocked and _waited_long_enough(after, at):
                backend.give_up_waiting(status)
        done.moved += after is not None and (after.state, after.attempt) != (run.state, run.attempt)
        return _look_at_nodes(state, after, backends, at) if after is not None else None
    if run.state is RunState.REQUESTED or run.awaits_submission:
        _nudge_if_still(state, run, at, done)
        return None
    return run


def _should_have_ended(run: Run, stop: StopRequest, at: datetime) -> bool:
    """Whether a wish to stop it did not reach its job, or came to nothing there."""
    return not run.state.is_final and at - stop.at > STANDSTILL


def _waited_long_enough(run: Run, at: datetime) -> bool:
    """Whether its job has held up its queue for longer than the queue itself lets one whose reason it knows."""
    if run.state is not RunState.QUEUED or run.blocked_at is None:
        return False
    known = settings()
    seconds = known.max_spot_wait_seconds if run.machines is Machines.SPOT_FIRST else known.max_wait_seconds
    return at - run.blocked_at > timedelta(seconds=seconds) + STANDSTILL


def _look_at_nodes(state: State, run: Run, backends: Callable[[str], ComputeBackend], at: datetime) -> Run | None:
    """The run after a look at its other machines: whether one of them failed and nobody heard of it."""
    if run.state is not RunState.RUNNING or run.job is None or run.spec is None or run.spec.nodes == 1:
        return run
    after: Run | None = run
    for status in backends(run.job.backend).nodes_of(run.job, range(1, run.spec.nodes)):
        after = track_node(state, status, backends, at)
    return after


def _nudge_if_still(state: State, run: Run, at: datetime, done: Sweep) -> None:
    if at - run.updated_at > STANDSTILL:
        state.table.change_run(run.id, lambda known: lifecycle.nudge(known, at))
        done.nudged += 1
