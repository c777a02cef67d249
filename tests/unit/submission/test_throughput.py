"""Many runs at once over a Batch that throttles: each gets one job."""

from __future__ import annotations

import itertools

import pytest
from submission_rig import OneAtATime, submit_all

from trainyard import clients
from trainyard.model.run import RunState
from trainyard.store import State
from trainyard.store.table import Table


def test_none_is_lost_or_doubled(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.compute.aws_batch._PAUSES", (0.01, 0.01, 0.01))
    careful = State(Table("trainyard", OneAtATime(clients.client("dynamodb"))), state.objects, state.secrets, state.bus)  # type: ignore[arg-type]
    # Every other submission is refused, whoever's turn it is.
    turns = itertools.cycle([False, True])
    outcome = submit_all(careful, 60, lambda: next(turns), deliveries=2)
    assert outcome.throttled >= 60
    assert set(outcome.jobs.values()) == {1}
    assert len(outcome.jobs) == 60
    assert outcome.states == {RunState.QUEUED: 60}
    assert outcome.dead == []
