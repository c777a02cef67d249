from __future__ import annotations

from collections.abc import Iterator

import pytest
from contracts.hosts.api_server import ApiServer, api_server
from unit.intake.conftest import NOW

from trainyard.intake import repositories
from trainyard.intake.deliveries import receive_event
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
    monkeypatch.setattr(repositories, "settings", lambda: Settings(git_base_url="http://127.0.0.1:3000"))


def test_connect_a_project(state: State, ada: AccessToken, host_api: ApiServer) -> None:
    host_api.answers = [(404, {})]
    wanted = NewRepository(name="hello", clone_url=URL, api_url=host_api.url, host_token="ghp_secret")
    created = create_repository(state, ada, wanted, ROOT, NOW)
    assert state.table.repository("ada/hello") == created.repository
    assert created.repository.clone_url == URL
    assert created.webhook_address == "https://trainyard.example/hooks/github/ada/hello"
    assert created.webhook_secret == state.secrets.get(webhook_secret_name("ada/hello"))
    assert len(created.webhook_secret) >= 32
    assert state.secrets.get(host_token_name("ada/hello")) == "ghp_secret"
    assert "ghp_secret" not in created.repository.model_dump_json() + repr(wanted)


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


def test_a_taken_name_keeps_its_secret(state: State, ada: AccessToken) -> None:
    first = create_repository(state, ada, NewRepository(name="hello", clone_url=URL), ROOT)
    with pytest.raises(Conflict):
        create_repository(state, ada, NewRepository(name="hello", clone_url=URL), ROOT)
    assert state.secrets.get(webhook_secret_name("ada/hello")) == first.webhook_secret


def test_renewing_the_secret(state: State, ada: AccessToken, stranger: AccessToken) -> None:
    first = create_repository(state, ada, NewRepository(name="hello", clone_url=URL), ROOT)
    with pytest.raises(NotFound):
        renew_webhook_secret(state, "ada/hello", stranger, ROOT)
    second = renew_webhook_secret(state, "ada/hello", ada, ROOT)
    assert second.webhook_secret != first.webhook_secret
    assert state.secrets.get(webhook_secret_name("ada/hello")) == second.webhook_secret


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


@pytest.fixture
def host_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr("trainyard.hosts.addresses.settings", lambda: Settings(allow_loopback_http=True))
    monkeypatch.setattr("trainyard.hosts.requests._pause", lambda *_: 0.0)
    with api_server() as running:
        yield running


def test_the_webhook_is_made_with_the_hosts_token(state: State, ada: AccessToken, host_api: ApiServer) -> None:
    wanted = NewRepository(name="hello", clone_url=URL, api_url=host_api.url, host_token="ghp_x")
    created = create_repository(state, ada, wanted, ROOT)
    config = host_api.received[0].payload["config"]
    assert config["url"] == created.webhook_address == "https://trainyard.example/hooks/github/ada/hello"
    assert config["secret"] == state.secrets.get(webhook_secret_name("ada/hello"))
    assert (created.webhook_secret, created.note) == ("", None)


def test_a_token_that_may_not_make_webhooks_leaves_it_to_the_user(
    state: State, ada: AccessToken, host_api: ApiServer
) -> None:
    host_api.answers = [(403, {})]
    wanted = NewRepository(name="hello", clone_url=URL, api_url=host_api.url, host_token="ghp_x")
    created = create_repository(state, ada, wanted, ROOT)
    assert created.webhook_secret == state.secrets.get(webhook_secret_name("ada/hello"))
    assert created.note is not None
    assert "403" in created.note.en
    assert "ghp_x" not in created.note.en


CODECOMMIT_URL = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/hello"


def test_only_an_operator_connects_codecommit(state: State, ada: AccessToken) -> None:
    wanted = NewRepository(name="ada/hello", host="codecommit", clone_url=CODECOMMIT_URL)
    with pytest.raises(Forbidden):
        create_repository(state, ada, wanted, ROOT)
    operator = issue_token(state.table, "root", [Scope.OPERATE])[1]
    created = create_repository(state, operator, wanted, ROOT)
    assert (created.webhook_address, created.webhook_secret) == ("", "")
    with pytest.raises(Conflict):
        create_repository(state, operator, wanted.model_copy(update={"name": "ada/again"}), ROOT)
    with pytest.raises(InvalidInput):
        create_repository(state, operator, wanted.model_copy(update={"name": "a/b", "clone_url": URL}), ROOT)


def test_an_event_of_codecommit_is_a_push(state: State) -> None:
    operator = issue_token(state.table, "root", [Scope.OPERATE])[1]
    wanted = NewRepository(name="ada/hello", host="codecommit", clone_url=CODECOMMIT_URL)
    create_repository(state, operator, wanted, ROOT)
    detail = {
        "event": "referenceUpdated",
        "repositoryName": "hello",
        "referenceFullName": "refs/heads/main",
        "commitId": "a" * 40,
        "oldCommitId": "b" * 40,
        "callerUserArn": "arn:aws:iam::1:user/ada",
    }
    event = {"id": "e-1", "detail-type": "CodeCommit Repository State Change", "region": "eu-west-1", "detail": detail}
    receipt = receive_event(state, event, NOW)
    push = state.table.push(receipt.pushes[0])
    assert receipt.kind == "push"
    assert push is not None
    assert (push.repository, push.ref, push.commit, push.pusher) == ("ada/hello", "refs/heads/main", "a" * 40, "ada")
    assert receive_event(state, event, NOW).kind == "repeated"
    assert receive_event(state, {**event, "region": "us-east-1"}, NOW).kind == "ignored"
    assert receive_event(state, {**event, "detail": {**detail, "repositoryName": 5}}, NOW).kind == "ignored"
