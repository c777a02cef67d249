from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainyard.model.errors import TooManyRequests
from trainyard.store import State
from trainyard.store.limits import PORTION, RateLimit

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def taken(limit: RateLimit, caller: str, tries: int, at: datetime = NOON) -> int:
    """How many of `tries` requests are let through."""
    through = 0
    for _ in range(tries):
        try:
            limit.take(caller, at)
            through += 1
        except TooManyRequests:
            continue
    return through


def test_a_minutes_requests_and_no_more(state: State) -> None:
    limit = RateLimit(state.table, 2 * PORTION)
    assert taken(limit, "ada", 100) == 2 * PORTION
    assert taken(limit, "eve", 5) == 5
    with pytest.raises(TooManyRequests) as refused:
        limit.take("ada", NOON + timedelta(seconds=59))
    assert refused.value.details == {"retry_after": 1}
    assert taken(limit, "ada", 5, NOON + timedelta(seconds=60)) == 5


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(per_minute=st.integers(1, 90), turns=st.lists(st.integers(0, 2), max_size=150), salt=st.uuids())
def test_all_instances_together_never_let_through_more(
    state: State, per_minute: int, turns: list[int], salt: object
) -> None:
    instances = [RateLimit(state.table, per_minute) for _ in range(3)]
    assert sum(taken(instances[turn], f"ada {salt}", 1) for turn in turns) <= per_minute


def test_no_limit(state: State) -> None:
    assert taken(RateLimit(state.table, 0), "ada", 500) == 500


def test_one_instance_asks_the_table_once_a_portion(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = RateLimit(state.table, 1000)
    taken(limit, "ada", 3 * PORTION)
    assert state.table.count(f"ada#{int(NOON.timestamp()) // 60}", 0, 0) == 3 * PORTION
