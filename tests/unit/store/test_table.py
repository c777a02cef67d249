"""Rows: written once, changed under their version, listed in pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builders import COMMIT, NOW, a_push, a_ref, a_repository, a_run, a_spec

from trainyard.model import lifecycle
from trainyard.model.errors import InvalidInput
from trainyard.model.finding import FindingCount
from trainyard.model.ref import Move
from trainyard.model.run import EvaluationFacet, FacetState, Job, Run, RunState
from trainyard.store import State
from trainyard.store.table import AlreadyThereError, TooManyConflictsError, row_of
from trainyard.store.table.runs import run_item


def admit(run: Run) -> Run:
    return lifecycle.admit(run, a_spec(), COMMIT, FindingCount(), NOW)


def test_a_run_is_read_back_as_it_was_written(state: State) -> None:
    run = a_run(
        job=Job(backend="aws_batch", id="job-1"),
        evaluation=EvaluationFacet(state=FacetState.DONE, best={"loss": float("inf")}),
    )
    state.table.create_run(run)
    assert state.table.run("run-1") == run
    assert state.table.run("run-2") is None


def test_an_id_is_taken_once(state: State) -> None:
    state.table.create_run(a_run())
    with pytest.raises(AlreadyThereError):
        state.table.create_run(a_run(name="other"))
    assert state.table.run("run-1").name == "lenet5"  # type: ignore[union-attr]


def test_a_change_raises_the_version_and_no_change_writes_nothing(state: State) -> None:
    state.table.create_run(a_run())
    assert state.table.change_run("run-1", admit).version == 1  # type: ignore[union-attr]
    assert state.table.change_run("run-1", admit).version == 1  # type: ignore[union-attr]
    assert state.table.run("run-1").state is RunState.ADMITTED  # type: ignore[union-attr]
    assert state.table.change_run("run-9", admit) is None


def test_a_change_is_applied_to_what_somebody_else_wrote_meanwhile(state: State) -> None:
    state.table.create_run(a_run())
    interrupted = False

    def stop_after_somebody_admitted(run: Run) -> Run:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            state.table.change_run("run-1", admit)
        return lifecycle.request_stop(run, "demo", NOW)

    after = state.table.change_run("run-1", stop_after_somebody_admitted)
    assert after is not None
    assert (after.version, after.state) == (2, RunState.STOPPED)
    assert [step.state for step in after.timeline] == [RunState.ADMITTED, RunState.STOPPED]


def test_a_storm_of_changes_ends(state: State) -> None:
    state.table.create_run(a_run())

    def always_late(run: Run) -> Run:
        state.table.change_run("run-1", lambda known: lifecycle.nudge(known, NOW))
        return lifecycle.nudge(run, NOW)

    with pytest.raises(TooManyConflictsError):
        state.table.change_run("run-1", always_late)


def test_runs_are_listed_newest_first_in_pages(state: State) -> None:
    for number in range(5):
        state.table.create_run(a_run(f"run-{number}"))
    state.table.create_run(a_run("run-x", project="demo/other"))
    first = state.table.runs_of("demo/lenet5", limit=2)
    second = state.table.runs_of("demo/lenet5", limit=2, cursor=first.cursor)
    third = state.table.runs_of("demo/lenet5", limit=2, cursor=second.cursor)
    assert [run.id for page in (first, second, third) for run in page.rows] == [f"run-{n}" for n in (4, 3, 2, 1, 0)]
    assert third.cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "////", "bnVsbA", "W10", "e30", "eyJwayI6IDF9", "\x00", "é"])
def test_a_foreign_cursor_is_refused(state: State, cursor: str) -> None:
    if not cursor:
        assert state.table.runs_of("demo/lenet5", cursor=cursor).rows == []
        return
    with pytest.raises(InvalidInput):
        state.table.runs_of("demo/lenet5", cursor=cursor)


def test_a_cursor_opens_only_the_list_it_came_from(state: State) -> None:
    for number in range(3):
        state.table.create_run(a_run(f"run-{number}", project="demo/private"))
    cursor = state.table.runs_of("demo/private", limit=1).cursor
    with pytest.raises(InvalidInput):
        state.table.runs_of("demo/lenet5", cursor=cursor)


def test_only_runs_that_have_not_ended_are_active(state: State) -> None:
    state.table.create_run(a_run("run-1"))
    state.table.create_run(a_run("run-2", state=RunState.RUNNING))
    state.table.create_run(a_run("run-3", state=RunState.FAILED))
    assert [run.id for run in state.table.active_runs().rows] == ["run-1", "run-2"]


def test_active_runs_come_in_order_and_whole_however_many(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.store.table.rows._KEYS_PER_BATCH", 2)
    runs = [a_run(f"run-{number}", name=f"the {number}") for number in range(7)]
    for run in reversed(runs):
        state.table.create_run(run)
    first = state.table.active_runs(limit=5)
    assert first.rows + state.table.active_runs(cursor=first.cursor).rows == runs


def test_what_the_index_still_holds_of_a_row_that_moved_on_is_left_out(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        state.table.create_run(a_run(f"run-{number}"))
    held = state.table._find("active", "active", "run", 10, None)
    state.table.change_run("run-0", lambda run: run.model_copy(update={"state": RunState.FAILED}))
    state.table.delete_run("run-1")
    # An index follows a moment later than the rows.
    monkeypatch.setattr(state.table, "_find", lambda *_, **__: held)
    assert [run.id for run in state.table.active_runs().rows] == ["run-2"]


def test_a_deleted_run_is_in_no_list_but_still_known(state: State) -> None:
    state.table.create_run(a_run(state=RunState.FAILED))
    state.table.change_run("run-1", lambda run: lifecycle.mark_deleted(run, NOW))
    assert state.table.runs_of("demo/lenet5").rows == []
    assert state.table.run("run-1").deleted_at == NOW  # type: ignore[union-attr]


def test_of_two_pushes_at_once_one_is_told_to_look_again(state: State) -> None:
    first, second = a_push("push-1"), a_push("push-2")
    assert state.table.create_push(first, a_ref(first))
    assert not state.table.create_push(second, a_ref(second))
    assert state.table.push("push-2") is None
    known = state.table.ref("demo/lenet5", "refs/heads/main")
    assert known == a_ref(first)
    after = known.moved(Move(push="push-2", commit=COMMIT))
    assert state.table.create_push(second, after)
    assert not state.table.create_push(a_push("push-3"), after)
    assert state.table.ref("demo/lenet5", "refs/heads/main") == after


def test_a_push_is_finished_with_all_its_runs_once(state: State) -> None:
    push = a_push()
    assert state.table.create_push(push, a_ref(push))
    checked = push.model_copy(update={"checked_at": NOW + timedelta(seconds=1), "runs": ["run-1", "run-2"]})
    assert state.table.finish_push(checked, [a_run("run-1"), a_run("run-2")])
    assert not state.table.finish_push(checked, [a_run("run-1"), a_run("run-2")])
    assert state.table.push("push-1") == checked
    assert len(state.table.runs_of("demo/lenet5").rows) == 2


def test_a_push_is_not_finished_in_part(state: State) -> None:
    assert state.table.create_push(a_push(), a_ref(a_push()))
    state.table.create_run(a_run("run-2"))
    checked = a_push(checked_at=NOW, runs=["run-1", "run-2"])
    assert not state.table.finish_push(checked, [a_run("run-1"), a_run("run-2")])
    assert state.table.run("run-1") is None
    assert state.table.push("push-1").checked_at is None  # type: ignore[union-attr]


def test_repositories_by_owner(state: State) -> None:
    state.table.create_repository(a_repository("demo/b"))
    state.table.create_repository(a_repository("demo/a"))
    state.table.create_repository(a_repository("other/c"))
    assert [row.full_name for row in state.table.repositories_of("demo").rows] == ["demo/a", "demo/b"]


def test_a_stream_image_is_the_row() -> None:
    run = a_run()
    assert row_of(run_item(run)) == run
    assert row_of(None) is None
