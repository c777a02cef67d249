"""Every kind of event is lost once, and the sweep mends what came of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from faults.way import furnish, scenes
from faults.world import World, rules, world

from trainyard.compute.registry import backend
from trainyard.model.run import Run
from trainyard.tracking.sweep import sweep_runs

# Up to here the way is that of one run, to its verdict.
SCENES = 4
LOST = [
    ("enqueue_job", "run.admitted"), ("track_job", "Batch Job State Change"),
    ("index_logs", "run.finished"), ("evaluate_run", "run.indexed"),
]  # fmt: skip


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str, Any]]:
    with pytest.MonkeyPatch.context() as patch, world(tmp_path_factory.mktemp("lost")) as made:
        patch.setattr("time.sleep", lambda _: None)
        token = furnish(made)
        made.drain()
        made.pending.clear()
        yield made, token, made.snapshot()


def go(around: World, token: str, lost: tuple[str, str] | None) -> tuple[Run, Counter[str]]:
    """The run at its end. `lost`: the function and kind of event of which every message is lost until a sweep comes."""
    for scene in scenes(token)[:SCENES]:
        step = scene(around)
        around.pending.extend([step] if step else [])
        _settle(around, lost)
        if lost == LOST[0]:
            _sweep(around)
    for _ in range(3):
        _sweep(around)
    (run,) = around.state.table.runs_of("demo/lenet5").rows
    return run, Counter(str(job.status) for job in around.batch._state.jobs.values())


def _settle(around: World, lost: tuple[str, str] | None) -> None:
    while around.pending:
        step = around.pending.popleft()
        if lost not in ((step.function, step.event.get("detail-type")), (step.function, "*")):
            around.through(step)


def _sweep(around: World) -> None:
    sweep_runs(around.state, backend, datetime.now(UTC) + timedelta(hours=1))
    around.drain()
    _settle(around, None)


@pytest.mark.parametrize("lost", LOST)
def test_what_was_lost_is_mended(around: tuple[World, str, Any], lost: tuple[str, str]) -> None:
    made, token, start = around
    assert any(lost[1].startswith(kind.rstrip("*")) for kind in rules()[lost[0]])
    made.restore(start)
    run, jobs = go(made, token, lost)
    assert (run.state, run.logs.state, run.evaluation.verdict) == ("succeeded", "done", "passed")
    assert (jobs, made.dead, run.is_settled) == (Counter({"SUCCEEDED": 1}), [], True)
    heard = [one.headers["webhook-id"] for one in made.host.received if "webhook-id" in one.headers]
    assert len(heard) == len(set(heard)) == 2
    assert made.state.table.unsettled_runs().rows == []


@pytest.mark.parametrize(("scene", "shown"), [(2, "running"), (3, "passed")])
def test_a_status_that_was_never_sent(around: tuple[World, str, Any], scene: int, shown: str) -> None:
    made, token, start = around
    made.restore(start)
    for number, happens in enumerate(scenes(token)[: scene + 1]):
        step = happens(made)
        made.pending.extend([step] if step else [])
        _settle(made, ("report_status", "*") if number == scene else None)
    assert shown not in made.statuses()[-1]
    _sweep(made)
    assert shown in made.statuses()[-1]
    told = len(made.host.received)
    _sweep(made)
    assert len(made.host.received) == told
