from __future__ import annotations

import pytest
from pydantic import ValidationError
from unit.intake.conftest import make_repository

from trainyard.intake import webhooks
from trainyard.intake.ownership import RepositoryChanges, add_member, change_repository, remove_member
from trainyard.intake.permissions import readable_repository, writable_repository
from trainyard.model.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from trainyard.model.repository import AccessToken, Repository, Scope, Visibility
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.places import MAX_MEMBERS

NAME = "ada/lenet5"


def test_a_member_comes_in_and_leaves(
    state: State, project: Repository, ada: AccessToken, stranger: AccessToken
) -> None:
    for _ in range(2):
        assert add_member(state, NAME, "eve", ada).members == ["eve"]
    assert writable_repository(state.table, NAME, stranger).full_name == NAME
    with pytest.raises(Forbidden):
        add_member(state, NAME, "bob", stranger)
    with pytest.raises(Forbidden):
        change_repository(state, NAME, stranger, RepositoryChanges(visibility=Visibility.PUBLIC))
    assert remove_member(state, NAME, "eve", stranger).members == []
    with pytest.raises(NotFound):
        readable_repository(state.table, NAME, stranger)
    with pytest.raises(NotFound):
        remove_member(state, NAME, "eve", ada)
    assert add_member(state, NAME, "ada", ada).members == []


def test_two_who_are_added_at_once_are_both_there(state: State, project: Repository, ada: AccessToken) -> None:
    def with_eve(known: Repository) -> Repository:
        if "bob" not in known.members:
            add_member(state, NAME, "bob", ada)
        return known.model_copy(update={"members": [*known.members, "eve"]})

    changed = state.table.change_repository(NAME, with_eve)
    assert changed is not None
    assert changed.members == ["bob", "eve"]


def test_there_is_an_end_to_members(state: State, ada: AccessToken) -> None:
    state.table.create_repository(make_repository(members=[f"u{number}" for number in range(MAX_MEMBERS)]))
    with pytest.raises(Conflict):
        add_member(state, NAME, "eve", ada)


def test_what_the_owner_changes(state: State, project: Repository, ada: AccessToken, stranger: AccessToken) -> None:
    changes = RepositoryChanges(visibility=Visibility.PUBLIC, licence="Apache-2.0", members=["bob", "ada", "bob"])
    changed = change_repository(state, NAME, ada, changes)
    assert changed == state.table.repository(NAME)
    assert (changed.visibility, changed.licence, changed.members) == ("public", "Apache-2.0", ["bob"])
    assert readable_repository(state.table, NAME, None).full_name == NAME
    change_repository(state, NAME, ada, RepositoryChanges(visibility=Visibility.PRIVATE, licence=""))
    with pytest.raises(NotFound):
        readable_repository(state.table, NAME, stranger)
    with pytest.raises(NotFound):
        change_repository(state, NAME, stranger, RepositoryChanges(licence="x"))
    with pytest.raises(Unauthenticated):
        change_repository(state, NAME, None, RepositoryChanges(licence="x"))


def test_an_operator_may_change_what_is_not_theirs(state: State, project: Repository) -> None:
    operator = issue_token(state.table, "root", [Scope.OPERATE])[1]
    assert change_repository(state, NAME, operator, RepositoryChanges(description="d")).description == "d"
    for name in ("ada/none", "x", "../.."):
        with pytest.raises(NotFound):
            change_repository(state, name, operator, RepositoryChanges(description="d"))


@pytest.mark.parametrize(
    "changes", [{"kind": "model"}, {"members": ["a b"]}, {"visibility": "secret"}, {"owner": "eve"}]
)
def test_what_cannot_be_changed(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RepositoryChanges.model_validate(changes)


def test_our_own_host_needs_no_token(state: State, ada: AccessToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "settings", lambda: Settings(git_base_url="http://127.0.0.1:3000"))
    state.table.create_repository(make_repository(clone_url=f"http://127.0.0.1:3000/{NAME}.git"))
    with pytest.raises(InvalidInput):
        change_repository(state, NAME, ada, RepositoryChanges(host_token="x"))
