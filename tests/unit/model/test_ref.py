from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.model.ref import MOVES_KEPT, Move, Ref

COMMITS = [letter * 40 for letter in "abc"]
MANY = [letter * 40 for letter in "0123456789"]


def told(ref: Ref, before: str | None, commit: str, delivery: str = "") -> tuple[Ref, str, bool]:
    """By a webhook: the ref afterwards, the push, whether it was new."""
    known = ref.known(before, commit, delivery)
    if known is None:
        ref = ref.moved(Move(push=f"push-{ref.version}", before=before, commit=commit, delivery=delivery))
        return ref, ref.moves[-1].push, True
    return (ref.claimed(known, before, delivery) if known.awaits_webhook else ref), known.push, False


@dataclass
class Host:
    """A ref at its host; who tells of it is up to the test."""

    path: list[str | None] = field(default_factory=lambda: [None])
    ref: Ref = field(default_factory=lambda: Ref(repository="ada/lenet5", name="refs/heads/main"))
    seen: str | None = None
    looked: str | None = None
    """What a sweep that is still under way has read."""
    pushes: Counter[str] = field(default_factory=Counter)
    """Pushes that were counted, for each commit."""

    @property
    def at(self) -> str | None:
        return self.path[-1]

    def push(self, commit: str) -> None:
        self.path.append(commit)

    def tell(self, number: int, delivery: str | None = None) -> None:
        """The webhook of a push, numbered from 1."""
        before, commit = self.path[number - 1], self.path[number]
        assert commit is not None
        self.ref, _, new = told(self.ref, before, commit, f"d-{number}" if delivery is None else delivery)
        self.pushes[commit] += new

    def look(self) -> None:
        self.looked = self.at

    def take(self) -> None:
        """The sweep does something about what it saw when it looked."""
        commit, before = self.looked, self.seen
        if commit is None or commit == before:
            return
        self.seen = commit
        if self.ref.may_be_at(commit) or self.at != commit:
            return
        self.ref = self.ref.moved(Move(push=f"push-{self.ref.version}", before=before, commit=commit, found=True))
        self.pushes[commit] += 1

    def sweep(self) -> None:
        self.look()
        self.take()


@st.composite
def histories(draw: st.DrawFn) -> list[str]:
    """Commits that a ref pointed to one after the other; each push moves it."""
    path = [draw(st.sampled_from(COMMITS))]
    for _ in range(draw(st.integers(1, MOVES_KEPT - 1))):
        path.append(draw(st.sampled_from([commit for commit in COMMITS if commit != path[-1]])))
    return path


@settings(max_examples=200)
@given(st.data(), st.booleans())
def test_no_commit_counts_twice_whoever_tells_of_it_whenever_and_however_often(
    data: st.DataObject, with_ids: bool
) -> None:
    """Each commit is pushed once; webhooks come early, late, again or never, sweeps look and act at any time."""
    host, known = Host(), set()
    for _ in range(data.draw(st.integers(1, 20))):
        last = len(host.path) - 1
        match data.draw(st.sampled_from(["push", "tell", "tell", "look", "take", "sweep"])):
            case "push" if last < MOVES_KEPT:
                host.push(MANY[last])
            case "tell" if last:
                number = data.draw(st.integers(1, last))
                host.tell(number, None if with_ids else "")
                known.add(host.path[number])
            case "look":
                host.look()
            case "take":
                host.take()
            case "sweep":
                host.sweep()
                known.add(host.at)
        assert set(host.pushes.values()) <= {1}
        assert known - {None} <= set(host.pushes)


@given(histories(), st.data())
def test_every_push_counts_once_if_its_webhook_comes_in_time_or_a_sweep_sees_it(
    path: list[str], data: st.DataObject
) -> None:
    """Commits come back, and old webhooks are repeated."""
    host, come = Host(), []
    for number, commit in enumerate(path, start=1):
        host.push(commit)
        happens = data.draw(st.lists(st.sampled_from(["tell", "sweep"]), min_size=1, max_size=3))
        if commit == host.seen:  # a sweep cannot see that the ref was away meanwhile
            happens.append("tell")
        for what in happens:
            host.tell(number) if what == "tell" else host.sweep()
        come += [number] if "tell" in happens else []
        for again in data.draw(st.lists(st.sampled_from(come), max_size=2)) if come else []:
            host.tell(again)
        assert host.pushes == Counter(path[:number])


@given(histories(), st.data())
def test_when_all_webhooks_have_come_every_push_has_counted(path: list[str], data: st.DataObject) -> None:
    host = Host()
    for commit in path:
        host.push(commit)
        if data.draw(st.booleans()):
            host.sweep()
    for number in data.draw(st.permutations(range(1, len(path) + 1))):
        host.tell(number)
    for commit, times in Counter(path).items():
        assert host.pushes[commit] >= times


def test_two_late_webhooks_around_a_sweep() -> None:
    a, b, c = COMMITS
    for order in ([2, 3], [3, 2], [3, 2, 3, 2], [2, 3, 3, 2]):
        host = Host()
        for commit in (a, b, c):
            host.push(commit)
            if commit != b:
                host.sweep()
        for number in order:
            host.tell(number)
        assert host.pushes == {a: 1, b: 1, c: 1}


def test_a_commit_that_a_sweep_found_and_that_is_brought_back() -> None:
    a, b = COMMITS[:2]
    host = Host()
    host.push(a)
    host.sweep()  # its webhook is lost for good
    for number, commit in enumerate((b, a), start=2):
        host.push(commit)
        host.tell(number)
    assert host.pushes == {a: 2, b: 1}
    host.tell(1)  # or was it?
    assert host.pushes == {a: 2, b: 1}


@given(histories())
def test_without_delivery_ids_every_push_counts_and_the_last_one_only_once(path: list[str]) -> None:
    host = Host()
    for number, commit in enumerate(path, start=1):
        host.push(commit)
        host.tell(number, "")
        host.tell(number, "")
    assert host.pushes == Counter(path)


def test_without_delivery_ids_old_news_is_no_push() -> None:
    a, b, c = COMMITS
    host = Host()
    for number, commit in enumerate((a, b, c), start=1):
        host.push(commit)
        host.tell(number, "")
    host.tell(2, "")
    assert host.pushes == {a: 1, b: 1, c: 1}


def test_the_history_stays_small() -> None:
    ref = Host().ref
    for number in range(3 * MOVES_KEPT):
        ref, _, new = told(ref, None, COMMITS[number % 3], f"d-{number}")
        assert new
    assert len(ref.moves) == MOVES_KEPT
    assert ref.version == 3 * MOVES_KEPT


@given(histories())
def test_in_the_right_order_a_ref_can_only_be_at_its_last_commit(path: list[str]) -> None:
    ref = Host().ref
    for number, (before, commit) in enumerate(pairwise(path)):
        ref, _, _ = told(ref, before, commit, f"d-{number}")
    assert [commit for commit in COMMITS if ref.may_be_at(commit)] == [path[-1]]
