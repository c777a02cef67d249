"""The journal: what is kept of a stream, in which order it is read, how it is told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from builders import a_run

from trainyard.store import State, journal
from trainyard.store.bus import changes_in
from trainyard.store.table import PutBack
from trainyard.store.table.runs import run_item

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def record(sequence: int, new: dict[str, Any] | None, old: dict[str, Any] | None = None, minutes: float = 0) -> Any:
    images = {"NewImage": new, "OldImage": old}
    keys = {"pk": (new or old or {})["pk"]}
    at = (BEGIN + timedelta(minutes=minutes)).timestamp()
    change = {"SequenceNumber": str(sequence), "Keys": keys, "ApproximateCreationDateTime": at}
    return {"eventID": f"e{sequence}", "dynamodb": change | {name: image for name, image in images.items() if image}}


def replay(state: State, minutes: float = 60) -> dict[str, int]:
    until = BEGIN + timedelta(minutes=minutes)
    return dict(journal.replay(state.objects, state.table, BEGIN, until).outcomes)


def row(state: State) -> Any:
    return state.table._item("RUN#run-1")


def test_the_last_state_within_the_time_counts(state: State) -> None:
    first, second = run_item(a_run()), run_item(a_run(version=2))
    journal.keep(state.objects, [record(1, first), record(2, second, first, minutes=30)])
    assert replay(state, minutes=10) == {PutBack.WRITTEN: 1}
    assert state.table.without_mark(row(state)) == first
    assert replay(state) == {PutBack.WRITTEN: 1}
    assert state.table.without_mark(row(state)) == second


def test_a_late_batch_is_found_although_it_is_named_by_its_first_record(state: State) -> None:
    first, second = run_item(a_run()), run_item(a_run(version=2))
    journal.keep(state.objects, [record(1, first), record(2, second, first, minutes=23 * 60)])
    late = BEGIN + timedelta(hours=22)
    assert [entry.sequence for entry in journal.entries(state.objects, late, late + timedelta(hours=2))] == [2]


def test_a_row_whose_time_ran_out_stays_away(state: State) -> None:
    journal.keep(state.objects, [record(1, run_item(a_run()) | {"expires": {"N": "1"}})])
    assert replay(state) == {PutBack.SAME: 1}
    assert row(state) is None


def test_what_was_put_back_is_no_news_and_the_next_change_is(state: State) -> None:
    item = run_item(a_run())
    journal.keep(state.objects, [record(1, item)])
    replay(state)
    assert changes_in([record(2, row(state))]) == []
    state.table.change_run("run-1", lambda run: run.model_copy(update={"nudges": 1}))
    assert len(changes_in([record(3, row(state), item)])) == 1
    assert journal.digest(item | {"put_back": {"BOOL": True}}) == journal.digest(item)


def test_a_row_that_was_removed_and_made_anew_is_left_alone(state: State) -> None:
    old, new = run_item(a_run()), run_item(a_run(version=7))
    journal.keep(state.objects, [record(1, old), record(2, None, old)])
    state.table._dynamodb.put_item(TableName=state.table.name, Item=new)
    assert replay(state) == {PutBack.NEWER: 1}
    state.table._dynamodb.put_item(TableName=state.table.name, Item=old)
    assert replay(state) == {PutBack.REMOVED: 1}
    assert row(state) is None
