"""Connecting what lies on a git host: with the host's token, and on CodeCommit with our own rights."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from contracts.hosts.host_server import DIALECTS, GUEST_TOKEN, OWNER_TOKEN, HostServer, host_server
from unit.intake.conftest import NOW

from trainyard.hosts.contract import HostRefusedError
from trainyard.intake import repositories, webhooks
from trainyard.intake.deliveries import receive_event
from trainyard.intake.ownership import RepositoryChanges, change_repository
from trainyard.intake.removal import Removed, remove_repository
from trainyard.intake.repositories import Created, NewRepository, create_repository
from trainyard.model.errors import Conflict, Forbidden, InvalidInput, UserError
from trainyard.model.repository import AccessToken, RepositoryKind, Scope
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.secrets import host_token_name, webhook_secret_name

ROOT = "https://trainyard.example/"
REGION = "us-east-1"


@pytest.fixture(params=sorted(DIALECTS))
def git_host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, HostServer]]:
    monkeypatch.setattr("trainyard.hosts.addresses.settings", lambda: Settings(allow_loopback_http=True))
    monkeypatch.setattr("trainyard.hosts.requests._pause", lambda *_: 0.0)
    with host_server(request.param) as running:
        yield request.param, running


def connect(state: State, token: AccessToken, git_host: tuple[str, HostServer], host_token: str) -> Created:
    name, server = git_host
    url = f"https://{name}.example/octo/hello.git"
    wanted = NewRepository(name="hello", host=name, clone_url=url, api_url=server.url, host_token=host_token)
    return create_repository(state, token, wanted, ROOT)


def test_with_a_token_the_webhook_is_made(state: State, ada: AccessToken, git_host: tuple[str, HostServer]) -> None:
    created = connect(state, ada, git_host, f"octo:{OWNER_TOKEN}")
    assert created.webhook is not None
    assert (created.webhook.secret, created.webhook.note) == ("", None)
    assert created.repository.default_branch == "trunk"
    assert connect(state, ada, git_host, f"octo:{OWNER_TOKEN}").repository == created.repository
    (hook,) = git_host[1].hooks.values()
    assert created.webhook.address in json.dumps(hook)
    assert (state.secrets.get(webhook_secret_name("ada/hello")) or "?") in json.dumps(hook)
    assert state.secrets.get(host_token_name("ada/hello")) == f"octo:{OWNER_TOKEN}"
    assert OWNER_TOKEN not in created.repository.model_dump_json() + repr(created)


def test_a_wrong_token_leaves_nothing_behind(state: State, ada: AccessToken, git_host: tuple[str, HostServer]) -> None:
    with pytest.raises(InvalidInput) as caught:
        connect(state, ada, git_host, "wrong-s3cret")
    assert caught.value.details == {"field": "host_token"}
    assert "令牌" in caught.value.message.zh
    assert "s3cret" not in f"{caught.value} {caught.value.details}"
    assert state.table.repository("ada/hello") is None
    assert state.secrets.get(host_token_name("ada/hello")) is None


def test_a_token_that_may_only_read_leaves_the_webhook_to_the_user(
    state: State, ada: AccessToken, git_host: tuple[str, HostServer]
) -> None:
    webhook = connect(state, ada, git_host, GUEST_TOKEN).webhook
    assert webhook is not None
    assert webhook.note is not None
    assert webhook.secret == state.secrets.get(webhook_secret_name("ada/hello"))
    assert str(403 if git_host[0] != "github" else 404) in webhook.note.en
    assert GUEST_TOKEN not in f"{webhook.note.en} {webhook.note.zh}"
    assert git_host[1].hooks == {}


def test_a_wrong_address_is_told(state: State, ada: AccessToken, git_host: tuple[str, HostServer]) -> None:
    name, server = git_host
    wanted = NewRepository(
        name="hello",
        host=name,
        clone_url=f"https://{name}.example/octo/helo.git",
        api_url=server.url,
        host_token=OWNER_TOKEN,
    )
    with pytest.raises(InvalidInput) as caught:
        create_repository(state, ada, wanted, ROOT)
    assert caught.value.details == {"field": "clone_url"}


def test_a_host_that_is_away_is_connected_by_hand(
    state: State, ada: AccessToken, git_host: tuple[str, HostServer]
) -> None:
    git_host[1].url = "http://127.0.0.1:9"
    webhook = connect(state, ada, git_host, OWNER_TOKEN).webhook
    assert webhook is not None
    assert webhook.secret
    assert webhook.note is not None
    assert "did not answer" in webhook.note.en


def test_a_new_token_for_an_expired_one(state: State, ada: AccessToken, git_host: tuple[str, HostServer]) -> None:
    connect(state, ada, git_host, OWNER_TOKEN)
    with pytest.raises(InvalidInput):
        change_repository(state, "ada/hello", ada, RepositoryChanges(host_token="wrong"))
    assert state.secrets.get(host_token_name("ada/hello")) == OWNER_TOKEN
    change_repository(state, "ada/hello", ada, RepositoryChanges(host_token=GUEST_TOKEN))
    assert state.secrets.get(host_token_name("ada/hello")) == GUEST_TOKEN


def secrets_left(state: State) -> list[str | None]:
    return [state.secrets.get(name("ada/hello")) for name in (host_token_name, webhook_secret_name)]


def test_whoever_removes_the_project_is_told_of_no_push_any_more(
    state: State, ada: AccessToken, git_host: tuple[str, HostServer]
) -> None:
    connect(state, ada, git_host, f"octo:{OWNER_TOKEN}")
    git_host[1].keep("https://other.example/hooks")
    assert remove_repository(state, "ada/hello", ada, "ada/hello", ROOT) == Removed(finished=True)
    (hook,) = git_host[1].hooks.values()
    assert "https://other.example/hooks" in json.dumps(hook)
    assert (git_host[1].deleted, secrets_left(state)) == ([1], [None, None])
    assert connect(state, ada, git_host, f"octo:{OWNER_TOKEN}").webhook


def test_what_the_host_refuses_to_take_away_is_told(
    state: State, ada: AccessToken, git_host: tuple[str, HostServer]
) -> None:
    connect(state, ada, git_host, f"octo:{OWNER_TOKEN}")
    state.secrets.put(host_token_name("ada/hello"), GUEST_TOKEN)
    removed = remove_repository(state, "ada/hello", ada, "ada/hello", ROOT)
    assert removed.finished
    assert removed.stays is not None
    for text in (removed.stays.en, removed.stays.zh):
        assert f"/hooks/{git_host[0]}/ada/hello" in text
        assert "s3cret" not in text
        assert str(403 if git_host[0] != "github" else 404) in text
    assert (len(git_host[1].hooks), secrets_left(state)) == (1, [None, None])


def test_a_host_that_is_away_is_asked_once_more_and_then_left(
    state: State, ada: AccessToken, git_host: tuple[str, HostServer]
) -> None:
    connect(state, ada, git_host, OWNER_TOKEN)
    with git_host[1].away():
        first = remove_repository(state, "ada/hello", ada, "ada/hello", ROOT)
        assert (first.finished, state.table.repository("ada/hello")) == (False, None)
        assert first.stays is not None
        assert "Send the same request again" in first.stays.en
        assert state.secrets.get(host_token_name("ada/hello")) == OWNER_TOKEN
        second = remove_repository(state, "ada/hello", ada, "", ROOT)
    assert second.finished
    assert second.stays is not None
    assert "stays on the git host" in second.stays.en
    assert (state.table.repository_row("ada/hello"), secrets_left(state)) == (None, [None, None])


def test_a_host_that_is_there_again_takes_it_away(
    state: State, ada: AccessToken, git_host: tuple[str, HostServer]
) -> None:
    connect(state, ada, git_host, OWNER_TOKEN)
    with git_host[1].away():
        assert not remove_repository(state, "ada/hello", ada, "ada/hello", ROOT).finished
    assert remove_repository(state, "ada/hello", ada, "", ROOT) == Removed(finished=True)
    assert (git_host[1].hooks, secrets_left(state)) == ({}, [None, None])


def test_a_webhook_that_was_entered_by_hand_is_named(
    state: State, ada: AccessToken, git_host: tuple[str, HostServer]
) -> None:
    connect(state, ada, git_host, "")
    removed = remove_repository(state, "ada/hello", ada, "ada/hello", ROOT)
    assert removed.finished
    assert removed.stays is not None
    assert f"/hooks/{git_host[0]}/ada/hello" in removed.stays.en


URL = f"https://git-codecommit.{REGION}.amazonaws.com/v1/repos/hello"
DETAIL = {
    "event": "referenceUpdated",
    "repositoryName": "hello",
    "referenceFullName": "refs/heads/main",
    "commitId": "a" * 40,
    "oldCommitId": "b" * 40,
    "callerUserArn": "arn:aws:iam::1:user/ada",
}
EVENT = {"id": "e-1", "detail-type": "CodeCommit Repository State Change", "region": REGION, "detail": DETAIL}


@pytest.fixture
def operator(state: State) -> AccessToken:
    boto3.client("codecommit", region_name=REGION).create_repository(repositoryName="hello")
    return issue_token(state.table, "root", [Scope.OPERATE])[1]


def test_only_an_operator_connects_codecommit(state: State, ada: AccessToken, operator: AccessToken) -> None:
    wanted = NewRepository(name="ada/hello", clone_url=URL)
    with pytest.raises(Forbidden):
        create_repository(state, ada, wanted, ROOT)
    created = create_repository(state, operator, wanted, ROOT)
    assert (created.repository.host, created.webhook) == ("codecommit", None)
    with pytest.raises(Conflict):
        create_repository(state, operator, wanted.model_copy(update={"name": "ada/again"}), ROOT)
    elsewhere = {"name": "a/b", "host": "codecommit", "clone_url": "https://github.com/octo/hello.git"}
    for wrong in (elsewhere, {"name": "a/b", "clone_url": URL + "-not-there"}):
        with pytest.raises(InvalidInput):
            create_repository(state, operator, NewRepository.model_validate(wrong), ROOT)


def test_an_address_that_is_free_again_may_be_connected(state: State, operator: AccessToken) -> None:
    create_repository(state, operator, NewRepository(name="ada/hello", clone_url=URL), ROOT)
    assert remove_repository(state, "ada/hello", operator, "ada/hello", ROOT) == Removed(finished=True)
    create_repository(state, operator, NewRepository(name="ada/again", clone_url=URL), ROOT)
    assert receive_event(state, EVENT, NOW).kind == "push"
    assert state.table.pushes_of("ada/again").rows


def test_an_event_of_codecommit_is_a_push(state: State, operator: AccessToken) -> None:
    create_repository(state, operator, NewRepository(name="ada/hello", clone_url=URL), ROOT)
    receipt = receive_event(state, EVENT, NOW)
    push = state.table.push(receipt.pushes[0])
    assert receipt.kind == "push"
    assert push is not None
    assert (push.repository, push.ref, push.commit, push.pusher) == ("ada/hello", "refs/heads/main", "a" * 40, "ada")
    assert receive_event(state, EVENT, NOW).kind == "repeated"
    assert receive_event(state, {**EVENT, "region": "eu-west-1"}, NOW).kind == "ignored"
    assert receive_event(state, {**EVENT, "detail": {**DETAIL, "repositoryName": 5}}, NOW).kind == "ignored"


def test_the_events_of_a_data_set_start_nothing(state: State, operator: AccessToken) -> None:
    wanted = NewRepository(name="ada/hello", kind=RepositoryKind.DATASET, clone_url=URL)
    create_repository(state, operator, wanted, ROOT)
    assert receive_event(state, EVENT, NOW).kind == "ignored"


@pytest.fixture
def on_codecommit(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Settings(codecommit_repositories="trainyard-*")
    monkeypatch.setattr(repositories, "settings", lambda: known)
    monkeypatch.setattr(webhooks, "settings", lambda: known)


def test_where_there_is_no_host_of_our_own_it_is_made_on_codecommit(
    state: State, ada: AccessToken, on_codecommit: None
) -> None:
    created = create_repository(state, ada, NewRepository(name="lenet5", description="digits"), ROOT)
    known = boto3.client("codecommit", region_name=REGION).get_repository(repositoryName="trainyard-ada-lenet5")
    assert created.repository.clone_url == known["repositoryMetadata"]["cloneUrlHttp"]
    assert (created.repository.host, created.webhook) == ("codecommit", None)


@pytest.mark.parametrize("name", ["x" * 95, "hello/world"])
def test_what_codecommit_cannot_take_is_a_clear_error(
    state: State, ada: AccessToken, on_codecommit: None, name: str
) -> None:
    with pytest.raises((InvalidInput, Forbidden)):
        create_repository(state, ada, NewRepository(name=name), ROOT)


def test_a_codecommit_that_says_no_is_no_fault_of_ours(
    state: State, ada: AccessToken, on_codecommit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise HostRefusedError("codecommit", 400, "AccessDeniedException")

    monkeypatch.setattr("trainyard.hosts.codecommit.create_repository", refuse)
    with pytest.raises(UserError) as caught:
        create_repository(state, ada, NewRepository(name="lenet5"), ROOT)
    assert "AccessDeniedException" in caught.value.message.zh
