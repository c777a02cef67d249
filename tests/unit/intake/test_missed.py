"""Pushes to a real git server, of which webhooks tell some, all or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.intake.conftest import NOW, make_repository
from unit.validation.git_rig import GitServer, git
from unit.validation.git_rig import Repository as Bare

from trainyard.hosts.contract import PushedRef
from trainyard.intake import missed
from trainyard.intake.missed import MissedPushes, find_missed_pushes, watch_from_nothing
from trainyard.intake.pushes import record_push
from trainyard.model.repository import Push, RepositoryKind
from trainyard.model.settings import Settings
from trainyard.store import State, layout
from trainyard.store.secrets import host_token_name

NAME, MAIN = "ada/lenet5", "refs/heads/main"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    monkeypatch.setattr("trainyard.hosts.addresses.settings", lambda: Settings(allow_loopback_http=True))
    with GitServer(tmp_path / "git") as running:
        yield running


@pytest.fixture
def bare(state: State, server: GitServer) -> Bare:
    """A project with one commit, as it was when it was connected."""
    state.table.create_repository(make_repository(NAME, clone_url=server.url(NAME)))
    bare = server.repository(NAME)
    bare.commit({"train.py": "1"})
    return bare


def tell(state: State, before: str | None, after: str, delivery: str = "d-1", ref: str = MAIN) -> bool:
    """What a webhook does."""
    return record_push(state, NAME, PushedRef(ref, before, after, "ada", delivery), b"{}", NOW)[1]


def pushes(state: State) -> list[Push]:
    return list(reversed(state.table.pushes_of(NAME).rows))


def test_what_was_there_when_it_was_connected_nobody_missed(state: State, bare: Bare) -> None:
    assert find_missed_pushes(state) == MissedPushes(projects=1)
    assert find_missed_pushes(state) == MissedPushes(projects=1)
    assert pushes(state) == []


def test_a_push_without_a_webhook_is_found_once(state: State, bare: Bare) -> None:
    first = git(bare.folder, "rev-parse", MAIN)
    find_missed_pushes(state)
    second = bare.commit({"train.py": "2"})
    assert find_missed_pushes(state).found == 1
    assert find_missed_pushes(state).found == 0
    (push,) = pushes(state)
    assert (push.ref, push.before, push.commit, push.pusher) == (MAIN, first, second, "")
    assert b"sweep" in state.objects.get(layout.delivery_key(push.id))
    # The webhook comes after all.
    assert not tell(state, first, second)
    assert len(pushes(state)) == 1


def test_a_push_that_a_webhook_told_of_is_not_found_again(state: State, bare: Bare) -> None:
    first = git(bare.folder, "rev-parse", MAIN)
    find_missed_pushes(state)
    second = bare.commit({"train.py": "2"})
    assert tell(state, first, second)
    assert find_missed_pushes(state).found == 0
    assert len(pushes(state)) == 1


def test_of_several_missed_pushes_the_last_counts_and_a_late_webhook_of_it_is_no_other(
    state: State, bare: Bare
) -> None:
    find_missed_pushes(state)
    second, third = bare.commit({"train.py": "2"}), bare.commit({"train.py": "3"})
    assert find_missed_pushes(state).found == 1
    assert [push.commit for push in pushes(state)] == [third]
    assert not tell(state, second, third, "d-9")
    assert find_missed_pushes(state).found == 0


@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 1, 2, 1)])
def test_webhooks_that_come_after_a_sweep_tell_of_each_push_once(
    state: State, bare: Bare, order: tuple[int, ...]
) -> None:
    path = [git(bare.folder, "rev-parse", MAIN)]
    find_missed_pushes(state)
    path += [bare.commit({"train.py": "2"}), bare.commit({"train.py": "3"})]
    assert find_missed_pushes(state).found == 1
    for number in order:
        tell(state, path[number - 1], path[number], f"d-{number}")
    assert sorted(push.commit for push in pushes(state)) == sorted(path[1:])
    assert find_missed_pushes(state).found == 0


def test_what_a_sweep_saw_and_a_webhook_overtook_is_left_to_its_own(
    state: State, bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = git(bare.folder, "rev-parse", MAIN)
    find_missed_pushes(state)
    second = bare.commit({"train.py": "2"})
    seen = {MAIN: second}
    third = bare.commit({"train.py": "3"})
    tell(state, first, second, "d-1")
    tell(state, second, third, "d-2")
    looks = iter([seen])
    look = missed._refs
    monkeypatch.setattr(missed, "_refs", lambda *where: next(looks, None) or look(*where))
    assert find_missed_pushes(state).found == 0
    assert find_missed_pushes(state).found == 0
    assert {push.commit for push in pushes(state)} == {second, third}
    assert len(pushes(state)) == 2


def test_webhooks_in_the_wrong_order_leave_nothing_to_find(state: State, bare: Bare) -> None:
    first = git(bare.folder, "rev-parse", MAIN)
    find_missed_pushes(state)
    second, third = bare.commit({"train.py": "2"}), bare.commit({"train.py": "3"})
    assert tell(state, second, third, "d-2")
    assert tell(state, first, second, "d-1")
    assert find_missed_pushes(state).found == 0
    assert len(pushes(state)) == 2


def test_a_push_back_that_was_missed(state: State, bare: Bare) -> None:
    first = git(bare.folder, "rev-parse", MAIN)
    find_missed_pushes(state)
    second = bare.commit({"train.py": "2"})
    tell(state, first, second)
    find_missed_pushes(state)
    git(bare.folder, "update-ref", MAIN, first)
    assert find_missed_pushes(state).found == 1
    assert [push.commit for push in pushes(state)] == [second, first]


def test_new_branches_and_tags_are_found_and_deleted_ones_forgotten(state: State, bare: Bare) -> None:
    find_missed_pushes(state)
    first = git(bare.folder, "rev-parse", MAIN)
    git(bare.folder, "update-ref", "refs/heads/new", first)
    git(bare.folder, "tag", "-a", "-m", "x", "v1", first)
    assert find_missed_pushes(state).found == 2
    assert {(push.ref, push.before, push.commit) for push in pushes(state)} == {
        ("refs/heads/new", None, first),
        ("refs/tags/v1", None, first),
    }
    git(bare.folder, "update-ref", "-d", "refs/heads/new")
    assert find_missed_pushes(state).found == 0
    assert "refs/heads/new" not in state.objects.get(layout.refs_key(NAME)).decode()


def test_the_first_push_to_a_repository_that_was_made_here(state: State, server: GitServer) -> None:
    made = make_repository(NAME, clone_url=server.url(NAME))
    state.table.create_repository(made)
    watch_from_nothing(state, made)
    server.repository(NAME).commit({"train.py": "1"})
    assert find_missed_pushes(state).found == 1


def test_many_pushes_are_taken_a_few_at_a_time(state: State, bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed, "PUSHES_AT_ONCE", 2)
    find_missed_pushes(state)
    first = git(bare.folder, "rev-parse", MAIN)
    bare.commit({"train.py": "2"})
    for number in range(4):
        git(bare.folder, "update-ref", f"refs/heads/b{number}", first)
    assert [find_missed_pushes(state).found for _ in range(4)] == [2, 2, 1, 0]
    assert len({push.ref for push in pushes(state)}) == 5


def test_every_project_has_its_turn(state: State, server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed, "PROJECTS_AT_ONCE", 2)
    for number in range(5):
        name = f"ada/p{number}"
        state.table.create_repository(make_repository(name, clone_url=server.url(name)))
        server.repository(name)
    assert [find_missed_pushes(state).projects for _ in range(4)] == [2, 2, 1, 2]
    for number in range(5):
        assert state.objects.size(layout.refs_key(f"ada/p{number}")) == 2


def test_one_hosts_trouble_is_nobody_elses(state: State, bare: Bare, server: GitServer) -> None:
    state.table.create_repository(make_repository("ada/away", clone_url="http://127.0.0.1:9/ada/away.git"))
    state.table.create_repository(make_repository("ada/gone", clone_url=server.url("ada/gone")))
    state.table.create_repository(make_repository("ada/digits", kind=RepositoryKind.DATASET))
    assert find_missed_pushes(state) == MissedPushes(projects=3, unreachable=2)
    bare.commit({"train.py": "2"})
    assert find_missed_pushes(state) == MissedPushes(projects=3, unreachable=2, found=1)


def test_a_private_repository_with_its_token(state: State, bare: Bare, server: GitServer) -> None:
    server.token = "s3cret"
    assert find_missed_pushes(state).unreachable == 1
    state.secrets.put(host_token_name(NAME), "s3cret")
    assert find_missed_pushes(state).unreachable == 0


def test_when_time_is_over_the_others_wait(state: State, bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed, "SECONDS", -1.0)
    find_missed_pushes(state)
    assert state.objects.size(layout.refs_key(NAME)) is None


def test_a_removed_project_is_not_watched(state: State, bare: Bare) -> None:
    state.table.change_repository(NAME, lambda known: known.model_copy(update={"removed_at": NOW}))
    assert find_missed_pushes(state) == MissedPushes()
