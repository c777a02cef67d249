from __future__ import annotations

import pytest
from unit.intake.conftest import NOW

from trainyard.intake import repositories, webhooks
from trainyard.intake.repositories import NewRepository, create_repository, renew_webhook_secret
from trainyard.model.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from trainyard.model.repository import AccessToken, RepositoryKind, Scope
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.store.access import authenticate, issue_token
from trainyard.store.secrets import host_token_name, webhook_secret_name

URL = "https://github.com/octo/hello.git"
ROOT = "https://trainyard.example/"


@pytest.fixture
def own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Settings(git_base_url="http://127.0.0.1:3000")
    monkeypatch.setattr(repositories, "settings", lambda: own)
    monkeypatch.setattr(webhooks, "settings", lambda: own)


def test_connect_a_project(state: State, ada: AccessToken) -> None:
    wanted = NewRepository(name="hello", clone_url=URL)
    created = create_repository(state, ada, wanted, ROOT, NOW)
    assert state.table.repository("ada/hello") == created.repository
    assert (created.repository.clone_url, created.repository.host) == (URL, "github")
    assert created.webhook is not None
    assert created.webhook.address == "https://trainyard.example/hooks/github/ada/hello"
    assert created.webhook.secret == state.secrets.get(webhook_secret_name("ada/hello"))
    assert len(created.webhook.secret) >= 32
    assert created.webhook.note is not None
    assert "webhook" in created.webhook.note.en


def test_create_on_our_own_host(state: State, ada: AccessToken, own_host: None) -> None:
    created = create_repository(state, ada, NewRepository(name="lenet5"), ROOT, NOW)
    repository = created.repository
    assert repository.clone_url == "http://127.0.0.1:3000/ada/lenet5.git"
    assert repository.api_url == "http://127.0.0.1:3000/api"
    assert state.secrets.get(webhook_secret_name("ada/lenet5"))
    user, _, secret = (state.secrets.get(host_token_name("ada/lenet5")) or "").partition(":")
    token = authenticate(state.table, f"Bearer {secret}")
    assert token is not None
    assert (user, token.user) == ("ada", "ada")


def test_a_model_has_no_webhook(state: State, ada: AccessToken, own_host: None) -> None:
    wanted = NewRepository(name="weights", kind=RepositoryKind.MODEL)
    create_repository(state, ada, wanted, ROOT, NOW)
    assert state.secrets.get(webhook_secret_name("ada/weights")) is None
    with pytest.raises(InvalidInput):
        renew_webhook_secret(state, "ada/weights", ada, ROOT)


def test_without_a_host_of_our_own_an_address_is_needed(state: State, ada: AccessToken) -> None:
    with pytest.raises(InvalidInput) as caught:
        create_repository(state, ada, NewRepository(name="lenet5"), ROOT)
    assert caught.value.details == {"field": "clone_url"}


def test_the_same_request_again_gives_the_same_answer(state: State, ada: AccessToken) -> None:
    wanted = NewRepository(name="hello", clone_url=URL, members=["bob", "bob"])
    first = create_repository(state, ada, wanted, ROOT, NOW)
    again = create_repository(state, ada, wanted, ROOT)
    assert (first.is_new, again.is_new) == (True, False)
    assert (again.repository, again.webhook) == (first.repository, first.webhook)
    assert again.repository.members == ["bob"]


def test_what_died_half_way_is_completed_by_the_next(state: State, ada: AccessToken, own_host: None) -> None:
    first = create_repository(state, ada, NewRepository(name="lenet5"), ROOT)
    state.secrets.delete(webhook_secret_name("ada/lenet5"))
    token = state.secrets.get(host_token_name("ada/lenet5"))
    assert create_repository(state, ada, NewRepository(name="lenet5"), ROOT).repository == first.repository
    assert state.secrets.get(webhook_secret_name("ada/lenet5"))
    assert state.secrets.get(host_token_name("ada/lenet5")) == token


@pytest.mark.parametrize("changes", [{"kind": "model"}, {"visibility": "public"}, {"clone_url": URL + "x"}])
def test_a_taken_name_keeps_its_secret(state: State, ada: AccessToken, changes: dict[str, str]) -> None:
    first = create_repository(state, ada, NewRepository(name="hello", clone_url=URL), ROOT)
    with pytest.raises(Conflict):
        create_repository(state, ada, NewRepository.model_validate({"name": "hello", "clone_url": URL} | changes), ROOT)
    assert first.webhook is not None
    assert state.secrets.get(webhook_secret_name("ada/hello")) == first.webhook.secret


def test_renewing_the_secret(state: State, ada: AccessToken, stranger: AccessToken) -> None:
    first = create_repository(state, ada, NewRepository(name="hello", clone_url=URL), ROOT).webhook
    with pytest.raises(NotFound):
        renew_webhook_secret(state, "ada/hello", stranger, ROOT)
    second = renew_webhook_secret(state, "ada/hello", ada, ROOT)
    assert first is not None
    assert second.secret != first.secret
    assert state.secrets.get(webhook_secret_name("ada/hello")) == second.secret


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://gitlab.com/a/b/c.git", "gitlab"),
        ("https://gitee.com/a/b.git", "gitee"),
        ("https://codeberg.org/a/b.git", "forgejo"),
        ("https://GitHub.com/a/b", "github"),
    ],
)
def test_a_well_known_host_needs_no_name(state: State, ada: AccessToken, url: str, name: str) -> None:
    created = create_repository(state, ada, NewRepository(name="hello", clone_url=url), ROOT)
    assert created.repository.host == name


def test_a_host_of_ones_own_must_be_named(state: State, ada: AccessToken) -> None:
    with pytest.raises(InvalidInput) as caught:
        create_repository(state, ada, NewRepository(name="hello", clone_url="https://git.example.org/a/b.git"), ROOT)
    assert caught.value.details == {"field": "host"}
    assert "gitlab" in caught.value.message.zh


def test_another_owners_name(state: State, ada: AccessToken, reader: AccessToken) -> None:
    wanted = NewRepository(name="bob/hello", clone_url=URL)
    with pytest.raises(Forbidden):
        create_repository(state, ada, wanted, ROOT)
    with pytest.raises(Forbidden):
        create_repository(state, reader, NewRepository(name="hello", clone_url=URL), ROOT)
    with pytest.raises(Unauthenticated):
        create_repository(state, None, wanted, ROOT)
    operator = issue_token(state.table, "root", [Scope.OPERATE])[1]
    assert create_repository(state, operator, wanted, ROOT).repository.owner == "bob"


@pytest.mark.parametrize("name", ["", "a b", "x.git", "../x", "a/b/c", "-x", "a/..", "x..y", "ada/"])
def test_a_bad_name(state: State, ada: AccessToken, name: str) -> None:
    with pytest.raises(InvalidInput):
        create_repository(state, ada, NewRepository(name=name, clone_url=URL), ROOT)


@pytest.mark.parametrize(
    "changes",
    [
        {"clone_url": "http://github.com/a/b"},
        {"clone_url": "file:///etc"},
        {"clone_url": "https://u:p@github.com/a/b"},
        {"clone_url": URL, "api_url": "http://169.254.169.254/"},
    ],
)
def test_a_bad_address(state: State, ada: AccessToken, changes: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        create_repository(state, ada, NewRepository(name="hello", **changes), ROOT)
    assert state.table.repository("ada/hello") is None


def test_an_unknown_host(state: State, ada: AccessToken) -> None:
    with pytest.raises(NotFound):
        create_repository(state, ada, NewRepository(name="hello", host="sourceforge", clone_url=URL), ROOT)
