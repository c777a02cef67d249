from __future__ import annotations

from itertools import count

import pytest
from builders import a_push, a_ref, a_run
from unit.intake.conftest import NOW, make_repository

from trainyard.intake.removal import remove_repository
from trainyard.intake.repositories import NewRepository, create_repository
from trainyard.model.errors import Conflict, Forbidden, NotFound, Unauthenticated
from trainyard.model.repository import AccessToken, FileLock, Repository, Scope
from trainyard.model.run import RunState
from trainyard.model.settings import Settings
from trainyard.store import State, layout
from trainyard.store.access import issue_token, token_digest
from trainyard.store.secrets import Secrets, host_token_name, webhook_secret_name

NAME = "ada/lenet5"
ROOT = "https://trainyard.example"
ENDED = RunState.SUCCEEDED


@pytest.fixture
def full(state: State, project: Repository, monkeypatch: pytest.MonkeyPatch) -> State:
    """A project of our own host with something of everything, beside one that keeps all of it."""
    monkeypatch.setattr("trainyard.intake.webhooks.settings", lambda: Settings(git_base_url="https://github.com"))
    platform, _ = issue_token(state.table, "ada", [Scope.WRITE])
    state.secrets.put(host_token_name(NAME), f"ada:{platform}")
    state.table.create_repository(make_repository("ada/lenet50"))
    for name, mark in ((NAME, "a"), ("ada/lenet50", "b")):
        state.table.create_run(a_run(f"run-{mark}", project=name, state=ENDED))
        push = a_push(f"push-{mark}", repository=name)
        assert state.table.create_push(push, a_ref(push))
        state.table.create_lock(FileLock(id="l", repository=name, path="x", owner="ada", locked_at=NOW))
        state.objects.put(layout.log_key(f"run-{mark}"), b"log")
        state.objects.put(layout.content_key(name, "c" * 64), b"12345")
    return state


def keys(state: State) -> set[str]:
    return {each.key for each in state.objects.find("")}


def test_nothing_happens_before_it_is_confirmed(full: State, ada: AccessToken) -> None:
    before = keys(full)
    for confirmed in ("", "lenet5", "yes"):
        with pytest.raises(Conflict) as caught:
            remove_repository(full, NAME, ada, confirmed, ROOT)
        assert caught.value.code == "confirmation_needed"
    assert caught.value.details["lost"] == {"runs": 1, "stored_files": 1, "stored_bytes": 5}
    assert "永久删除" in caught.value.message.zh
    assert keys(full) == before
    assert full.table.repository(NAME) is not None


def test_all_of_it_goes_and_nothing_else(full: State, ada: AccessToken) -> None:
    platform = (full.secrets.get(host_token_name(NAME)) or "").removeprefix("ada:")
    assert remove_repository(full, NAME, ada, NAME, ROOT).finished
    assert full.table.repository_row(NAME) is None
    assert full.table.runs_of(NAME).rows == full.table.pushes_of(NAME).rows == full.table.locks_of(NAME).rows == []
    assert full.table.ref(NAME, "refs/heads/main") is None
    assert full.secrets.get(webhook_secret_name(NAME)) is None
    assert full.table.token(token_digest(platform)) is None
    assert keys(full) == {layout.log_key("run-b"), layout.content_key("ada/lenet50", "c" * 64)}
    assert len(full.table.runs_of("ada/lenet50").rows) == 1
    with pytest.raises(NotFound):
        remove_repository(full, NAME, ada, NAME, ROOT)


def test_not_while_a_run_is_active(full: State, ada: AccessToken) -> None:
    full.table.create_run(a_run("run-c", project=NAME, state=RunState.RUNNING))
    with pytest.raises(Conflict) as caught:
        remove_repository(full, NAME, ada, NAME, ROOT)
    assert (caught.value.code, caught.value.details) == ("runs_active", {"runs": ["run-c"]})
    assert full.table.repository(NAME) is not None


def test_only_its_owner_or_an_operator(full: State, stranger: AccessToken, reader: AccessToken) -> None:
    full.table.change_repository(NAME, lambda known: known.model_copy(update={"members": ["eve"]}))
    for token, error in ((stranger, Forbidden), (reader, Forbidden), (None, Unauthenticated)):
        with pytest.raises(error):
            remove_repository(full, NAME, token, NAME, ROOT)
    assert remove_repository(full, NAME, issue_token(full.table, "root", [Scope.OPERATE])[1], NAME, ROOT).finished


def test_what_ran_out_of_time_is_hidden_and_finished_by_the_next(
    full: State, ada: AccessToken, stranger: AccessToken
) -> None:
    ticks = count(0, 15.0)
    assert not remove_repository(full, NAME, ada, NAME, ROOT, lambda: next(ticks)).finished
    assert full.table.repository(NAME) is None
    assert [row.full_name for row in full.table.repositories_of("ada").rows] == ["ada/lenet50"]
    with pytest.raises(Conflict) as caught:
        create_repository(full, ada, NewRepository(name="lenet5", clone_url="https://github.com/a/b"), "https://t")
    assert caught.value.code == "being_removed"
    with pytest.raises(NotFound):
        remove_repository(full, NAME, stranger, NAME, ROOT)
    assert remove_repository(full, NAME, ada, "", ROOT).finished
    assert create_repository(full, ada, NewRepository(name="lenet5", clone_url="https://github.com/a/b"), "https://t")


def test_what_another_function_removed_and_made_anew_has_its_new_token(full: State) -> None:
    other_function = Secrets("/trainyard")
    assert full.secrets.get(host_token_name(NAME), max_age=60)
    other_function.put(host_token_name(NAME), "ada:new")
    assert full.secrets.get(host_token_name(NAME)) == "ada:new"
