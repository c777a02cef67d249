"""Many runs at once over a Batch that throttles: each gets one job."""

from __future__ import annotations

import pytest
from submission_rig import OneAtATime, submit_all

from trainyard import clients
from trainyard.model.run import RunState
from trainyard.store import State
from trainyard.store.table import Table


def test_none_is_lost_or_doubled(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.compute.aws_batch._PAUSES", (0.1, 0.2, 0.4))
    careful = State(Table("trainyard", OneAtATime(clients.client("dynamodb"))), state.objects, state.secrets, state.bus)  # type: ignore[arg-type]
    outcome = submit_all(careful, 60, 15, deliveries=2, bound=60)
    assert outcome.throttled > 0, "the test is to throttle"
    assert set(outcome.jobs.values()) == {1}
    assert len(outcome.jobs) == 60
    assert outcome.states == {RunState.QUEUED: 60}
    assert outcome.dead == []
