"""A stop ends a run of every kind before it has run, and what did not run costs nothing."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from batch_fixture import batch
from builders import NOW, a_run, a_spec

from trainyard.compute.contract import JobRequest
from trainyard.model import lifecycle
from trainyard.model.money import Approval
from trainyard.model.run import ChildCount, RunState
from trainyard.model.spec import Machines
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.submission.submit import stop_run
from trainyard.tracking.watch import heard

KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one": ({}, {}),
    "sweep": ({"hyperparameters": {"lr": [1, 2, 3]}}, {"children": 3}),
    "nodes": ({"nodes": 2}, {"nodes": 2, "queue": "cpu-nodes", "job_definition": "cpu-nodes"}),
    "spot first": ({"machines": Machines.SPOT_FIRST}, {"machines": Machines.SPOT_FIRST}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_waits_in_a_queue_is_stopped_and_costs_nothing(state: State, kind: str) -> None:
    spec, asked = KINDS[kind]
    with batch() as (server, backend, _):
        server.starve("cpu")
        plain = {
            "run_id": "run-1", "owner": "demo", "queue": "cpu", "job_definition": "cpu", "vcpus": 1,
            "memory_mib": 512, "timeout": timedelta(minutes=5),
        }  # fmt: skip
        job = backend.submit(JobRequest.model_validate({**plain, **asked}))
        children = ChildCount(total=3) if kind == "sweep" else None
        run = a_run(state=RunState.QUEUED, job=job, attempt=1, spec=a_spec(**spec), children=children)
        state.table.create_run(run)
        state.table.change_run("run-1", lambda known: lifecycle.request_stop(known, "ada", NOW))
        stop_run(state, "run-1", "token", lambda _: backend)
        deadline = time.monotonic() + 20
        while (status := backend.describe(job)).phase.value != "failed":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        ended = heard(state, status, lambda _: backend)
    assert ended is not None
    assert (ended.state, ended.failure) == (RunState.STOPPED, None)
    assert ended.cost is not None
    assert (ended.cost.seconds, ended.cost.usd) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", [RunState.REQUESTED, RunState.ADMITTED, None])
def test_what_was_not_submitted_yet_is_stopped_at_once(state: State, kind: str, before: RunState | None) -> None:
    """None: it waits for approval."""
    hold = Approval(reason=Text(en="It may cost 12 USD.", zh="可能花费 12 美元。")) if before is None else None
    spec = a_spec(**KINDS[kind][0])
    state.table.create_run(a_run(state=before or RunState.ADMITTED, spec=spec, approval=hold))
    run = state.table.change_run("run-1", lambda known: lifecycle.request_stop(known, "ada", NOW))
    assert run is not None
    assert (run.state, run.job, run.cost) == (RunState.STOPPED, None, None)
    # Whoever approves too late, and the event of an admission that comes late, change nothing.
    assert lifecycle.approve(run, "bob", NOW) == run
    assert lifecycle.claim_submission(run, "token", NOW, timedelta(seconds=90)) == run
