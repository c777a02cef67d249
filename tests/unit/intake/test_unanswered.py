"""What nobody answered is asked again: sooner, then later, and not for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from builders import NOW, a_push, a_ref, a_run
from hypothesis import given
from hypothesis import strategies as st

from trainyard import clients
from trainyard.intake import unanswered
from trainyard.intake.unanswered import Unanswered, ask_again
from trainyard.model.asked import MOST_NUDGES, PATIENCE, Asked, is_due
from trainyard.model.check import Check
from trainyard.model.storage import StorageTask
from trainyard.store import State
from trainyard.store.bus import changes_in

MINUTE = timedelta(minutes=1)
CHECK = Check(id="check-1", project="demo/lenet5", requested_by="demo", requested_at=NOW)
TASK = StorageTask(id="task-1", repository="demo/lenet5", requested_by="demo", requested_at=NOW)


def push(state: State) -> None:
    one = a_push(received_at=NOW)
    assert state.table.create_push(one, a_ref(one))


def checked(state: State) -> None:
    assert state.table.finish_push(a_push(received_at=NOW, checked_at=NOW), [a_run()])


ASKED: dict[str, tuple[Callable[[State], Any], Callable[[State], Any], Callable[[State], Asked | None]]] = {
    "push.received": (push, checked, lambda state: state.table.push("push-1")),
    "check.requested": (
        lambda state: state.table.create_check(CHECK),
        lambda state: state.table.mark_answered(CHECK, NOW),
        lambda state: state.table.check("check-1"),
    ),
    "storage.asked": (
        lambda state: state.table.create_storage_task(TASK),
        lambda state: state.table.mark_answered(TASK, NOW),
        lambda state: state.table.storage_task("task-1"),
    ),
}


@pytest.fixture(params=ASKED)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def said(state: State, act: Callable[[], Any]) -> list[str]:
    """The events that come of an act, as the table's stream would tell."""
    before = _rows()
    act()
    records = [
        {"dynamodb": {"OldImage": before.get(pk), "NewImage": row, "SequenceNumber": "1"}}
        for pk, row in _rows().items()
        if before.get(pk) != row
    ]
    return [change.name.value for change in changes_in(records)]


def _rows() -> dict[str, Any]:
    return {item["pk"]["S"]: item for item in clients.dynamodb().scan(TableName="trainyard")["Items"]}


def test_it_is_said_again_until_it_is_answered(state: State, kind: str) -> None:
    ask, answer, row = ASKED[kind]
    assert said(state, lambda: ask(state)) == [kind]
    assert said(state, lambda: ask_again(state, NOW + 9 * MINUTE)) == []
    assert said(state, lambda: ask_again(state, NOW + 11 * MINUTE)) == [kind]
    assert said(state, lambda: ask_again(state, NOW + 12 * MINUTE)) == []
    assert said(state, lambda: ask_again(state, NOW + 21 * MINUTE)) == [kind]
    assert kind not in said(state, lambda: answer(state))
    assert said(state, lambda: ask_again(state, NOW + timedelta(days=9))) == []
    assert state.table.unanswered().rows == []
    assert row(state) is not None


def test_nobody_is_asked_for_ever(state: State, kind: str) -> None:
    ask, _, row = ASKED[kind]
    ask(state)
    for number in range(MOST_NUDGES):
        assert ask_again(state, NOW + timedelta(days=number + 1)) == Unanswered(waiting=1, nudged=1)
    assert ask_again(state, NOW + timedelta(days=99)) == Unanswered()
    asked = row(state)
    assert asked is not None
    assert asked.nudges == MOST_NUDGES


def test_what_was_answered_meanwhile_is_not_asked_again(state: State, kind: str) -> None:
    ask, answer, row = ASKED[kind]
    ask(state)
    before = row(state)
    assert before is not None
    answer(state)
    answered = _rows()
    assert not state.table.nudge(before)
    assert _rows() == answered


def test_an_answer_to_a_question_that_is_forgotten_brings_it_not_back(state: State) -> None:
    state.table.mark_answered(CHECK, NOW)
    assert state.table.check("check-1") is None


def test_a_sweep_asks_so_many_at_once_the_oldest_first(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unanswered, "NUDGED_AT_ONCE", 2)
    for number in (3, 1, 2):
        at = NOW + timedelta(seconds=number)
        state.table.create_check(CHECK.model_copy(update={"id": f"check-{number}", "requested_at": at}))
    later = NOW + 11 * MINUTE
    assert ask_again(state, later).nudged == 2
    assert [state.table.check(f"check-{number}").nudges for number in (1, 2, 3)] == [1, 1, 0]  # type: ignore[union-attr]
    assert ask_again(state, later).nudged == 1


def test_with_nothing_that_waits_it_is_one_query(state: State) -> None:
    push(state)
    checked(state)
    asked: list[str] = []
    events = clients.dynamodb().meta.events

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    events.register("before-parameter-build.dynamodb", note)
    try:
        assert ask_again(state, NOW + timedelta(days=1)) == Unanswered()
    finally:
        events.unregister("before-parameter-build.dynamodb", note)
    assert asked == ["Query"]


@given(nudges=st.integers(0, MOST_NUDGES + 1), minutes=st.integers(0, 60 * 24 * 3))
def test_each_time_it_waits_twice_as_long(nudges: int, minutes: int) -> None:
    row = CHECK.model_copy(update={"nudges": nudges})
    wanted = nudges < MOST_NUDGES and minutes * MINUTE > PATIENCE * 2**nudges
    assert is_due(row, NOW + minutes * MINUTE) == wanted
    assert not is_due(row.model_copy(update={"answered_at": NOW}), NOW + minutes * MINUTE)
