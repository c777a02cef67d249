"""Runs whose backend tells nobody how they are, so that somebody has to look.

A schedule calls for that every minute, but only while there is such a run: whoever submits one switches it on, and the
look that finds none switches it off. Both may be done any number of times.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from trainyard.compute.contract import ComputeBackend, JobStatus
from trainyard.compute.modelarts.backend import run_of_carrier
from trainyard.model.catalogue import load_catalogue
from trainyard.model.run import Run
from trainyard.model.settings import settings
from trainyard.store import State, layout
from trainyard.store.log_end import log_end
from trainyard.store.objects import Objects
from trainyard.tracking.track import track_job, track_node, track_sweep

Backends = Callable[[str], ComputeBackend]


def switch(*, on: bool) -> None:
    """Switch the schedule on or off, where this installation has one."""
    from trainyard.clients import client

    rule = settings().watch_rule
    if rule:
        events = client("events")
        (events.enable_rule if on else events.disable_rule)(Name=rule)


def needs_watch(run: Run | None, backends: Backends) -> bool:
    """Whether somebody has to look after it."""
    return (
        run is not None and run.job is not None and not run.state.is_final and backends(run.job.backend).must_be_asked
    )


def watch_runs(state: State, backends: Backends, now: datetime | None = None, only: Sequence[str] = ()) -> int:
    """Look after all such runs; how many there were. The schedule is off afterwards if there is none any more.

    `only`: these alone, if they are such runs; whether there are others is then not known, and the schedule stays.
    """
    if only:
        return _look_at(state, filter(None, map(state.table.run, only)), backends, now or datetime.now(UTC))
    looked_at = _look_at_all(state, backends, now)
    if not looked_at:
        switch(on=False)
        # One that was submitted just now may have switched it on before we switched it off.
        looked_at = _look_at_all(state, backends, now)
        if looked_at:
            switch(on=True)
    return looked_at


def look_after(state: State, run: Run, backends: Backends, at: datetime) -> Run | None:
    """Ask its backend, carry its job one step further, keep the fresh part of its log."""
    assert run.job is not None
    backend = backends(run.job.backend)
    if run.stop is not None:
        # Asked for again each time: a stop that came too early for one step reaches the next.
        backend.stop(run.job, run.stop.reason)
    status = backend.attend(run.job)
    if status is None:
        return run
    _keep_log(state.objects, backend, run)
    return track_job(state, status, at)


def heard(state: State, status: JobStatus, backends: Backends, at: datetime | None = None) -> Run | None:
    """What Batch says of a job. Of a carrier it is only a reason to look at the run that is carried."""
    run = state.table.run(run_of_carrier(status.run_id))
    if run is None or run.state.is_final or _backend_of(run) == status.job.backend:
        if status.node is not None:
            return track_node(state, status, backends, at)
        of_sweep = status.child is not None or status.children is not None
        return track_sweep(state, run, status, backends, at) if of_sweep else track_job(state, status, at)
    # One that is not noted yet is looked at when it is: the schedule is on.
    return look_after(state, run, backends, at or datetime.now(UTC)) if run.job is not None else run


def _backend_of(run: Run) -> str:
    framework = load_catalogue().ground(run.spec) if run.spec is not None else None
    return run.job.backend if run.job is not None else framework.backend if framework is not None else ""


def _look_at_all(state: State, backends: Backends, now: datetime | None) -> int:
    at = now or datetime.now(UTC)
    count, cursor = 0, None
    while True:
        page = state.table.active_runs(limit=100, cursor=cursor)
        count += _look_at(state, page.rows, backends, at)
        cursor = page.cursor
        if cursor is None:
            return count


def _look_at(state: State, runs: Iterable[Run], backends: Backends, at: datetime) -> int:
    """One that cannot be looked at does not keep the others waiting: afterwards an ExceptionGroup tells of it."""
    watched = [run for run in runs if needs_watch(run, backends)]
    failures: list[Exception] = []
    for run in watched:
        try:
            look_after(state, run, backends, at)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised below
            error.add_note(f"while {run.id} was looked at")
            failures.append(error)
    if failures:
        raise ExceptionGroup("runs could not be looked at", failures)
    return len(watched)


def _keep_log(objects: Objects, backend: ComputeBackend, run: Run) -> None:
    """Of each of its machines; what the first one prints is the run's own log."""
    assert run.job is not None
    for node in range(run.spec.nodes if run.spec else 1):
        owner = layout.node_id(run.id, node) if node else run.id
        end = log_end(objects, owner, 1)
        fresh = backend.live_log(run.job, end, node)
        if fresh:
            # The same bytes under the same name, should two look at the same moment.
            objects.put(layout.log_chunk_key(owner, 1, end), gzip.compress(fresh, 6, mtime=0), "application/gzip")
