from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from trainyard.model.ref import MOVES_KEPT, Move, Ref

COMMITS = [letter * 40 for letter in "abc"]


def told(ref: Ref, before: str | None, commit: str, delivery: str = "") -> tuple[Ref, str, bool]:
    known = ref.known(before, commit, delivery)
    if known is not None:
        return ref, known.push, False
    move = Move(push=f"push-{ref.version}", before=before, commit=commit, delivery=delivery)
    return ref.moved(move), move.push, True


def a_ref() -> Ref:
    return Ref(repository="ada/lenet5", name="refs/heads/main")


@st.composite
def histories(draw: st.DrawFn) -> list[str]:
    """Commits that a ref pointed to one after the other; each push moves it."""
    path = [draw(st.sampled_from(COMMITS))]
    for _ in range(draw(st.integers(1, MOVES_KEPT - 1))):
        path.append(draw(st.sampled_from([commit for commit in COMMITS if commit != path[-1]])))
    return path


@given(histories(), st.data())
def test_with_delivery_ids_every_push_counts_once_however_often_it_is_told(
    path: list[str], data: st.DataObject
) -> None:
    ref, pushes = a_ref(), {}
    for number, (before, commit) in enumerate(pairwise(path)):
        ref, push, new = told(ref, before, commit, f"d-{number}")
        assert new
        pushes[number] = push
        once_more = data.draw(st.integers(0, number))
        assert told(ref, path[once_more], path[once_more + 1], f"d-{once_more}") == (ref, pushes[once_more], False)
        # A sweep in between finds nothing new.
        assert told(ref, None, commit) == (ref, push, False)
    assert len(set(pushes.values())) == len(path) - 1


@given(histories())
def test_without_delivery_ids_every_push_counts_and_the_last_one_only_once(path: list[str]) -> None:
    ref = a_ref()
    for before, commit in pairwise(path):
        ref, push, new = told(ref, before, commit)
        assert new
        assert told(ref, before, commit) == (ref, push, False)


def test_without_delivery_ids_old_news_is_no_push() -> None:
    a, b, c = COMMITS
    ref, first, _ = told(a_ref(), a, b)
    ref, _, _ = told(ref, b, c)
    assert told(ref, a, b) == (ref, first, False)


def test_the_history_stays_small() -> None:
    ref = a_ref()
    for number in range(3 * MOVES_KEPT):
        ref, _, new = told(ref, None, COMMITS[number % 3], f"d-{number}")
        assert new
    assert len(ref.moves) == MOVES_KEPT
    assert ref.version == 3 * MOVES_KEPT


def test_two_pushes_that_were_heard_of_in_the_wrong_order_leave_the_ref_where_it_is() -> None:
    a, b, c = COMMITS
    ref, _, _ = told(a_ref(), b, c, "d-2")
    ref, _, _ = told(ref, a, b, "d-1")
    assert ref.points_to(c)
    # Not so where the second is a push back.
    ref, _, _ = told(a_ref(), b, c, "d-1")
    ref, _, _ = told(ref, c, b, "d-2")
    assert not ref.points_to(c)
    assert ref.points_to(b)


@given(histories())
def test_in_the_right_order_a_ref_points_to_its_last_commit_alone(path: list[str]) -> None:
    ref = a_ref()
    for number, (before, commit) in enumerate(pairwise(path)):
        ref, _, _ = told(ref, before, commit, f"d-{number}")
    assert [commit for commit in COMMITS if ref.points_to(commit)] == [path[-1]]
