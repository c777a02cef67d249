"""Clocks jump by an hour, forwards and back, between one function and the next: the same comes of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from faults.way import furnished, scenes
from faults.world import Snapshot, World

HOUR = timedelta(hours=1)
NAMING = ("receive_push", "api")
"""Their clock goes into a run's id, and the way takes the run with the highest for the one that it asked for last."""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str, Snapshot]]:
    with furnished(tmp_path_factory.mktemp("clocks")) as (made, token):
        yield made, token, made.snapshot()


def go(made: World, token: str, chance: random.Random | None) -> Any:
    """The way; with `chance`, each step takes place at any moment within an hour of now."""
    for scene in scenes(token):
        step = scene(made)
        made.pending.extend([step] if step else [])
        while made.pending:
            step = made.pending.popleft()
            jump = HOUR * chance.uniform(-1, 1) if chance and step.function not in NAMING else timedelta(0)
            with time_machine.travel(datetime.now(UTC) + jump, tick=True):
                made.through(step)
    account = made.account()
    return account["jobs"], account["secrets"], [state_of(one) for one in made.state.table.runs_of("demo/lenet5").rows]


def state_of(run: Any) -> Any:
    return run.name, run.state, run.attempt, run.logs.state, run.evaluation.verdict, run.is_settled


@pytest.mark.parametrize("seed", range(3))
def test_clocks_that_jump(start: tuple[World, str, Snapshot], seed: int) -> None:
    made, token, before = start
    made.restore(before)
    wanted = go(made, token, None)
    made.restore(before)
    found = go(made, token, random.Random(seed))
    assert found == wanted
    assert made.dead == []
