"""Access tokens."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from trainyard.model.errors import Unauthenticated
from trainyard.model.repository import Scope
from trainyard.store import State
from trainyard.store.access import (
    authenticate,
    close_session,
    issue_token,
    open_session,
    token_of_session,
)


def basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def test_a_token_opens_as_bearer_and_as_git_sends_it(state: State) -> None:
    secret, token = issue_token(state.table, "demo", [Scope.READ])
    assert authenticate(state.table, f"Bearer {secret}") == token
    assert authenticate(state.table, basic("demo", secret)) == token
    assert authenticate(state.table, None) is None


def test_the_secret_is_not_stored(state: State) -> None:
    import boto3

    secret, _ = issue_token(state.table, "demo", [Scope.READ])
    assert secret not in str(boto3.client("dynamodb").scan(TableName="trainyard"))


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer wrong", "Basic", "Basic %%%", "Basic /w==", "Basic ZGVtbw==", "Digest x", "x"],
)
def test_what_is_wrong_is_refused_with_the_same_words(state: State, header: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        authenticate(state.table, header)
    assert "User name or token is wrong" in refused.value.message.en


def test_another_users_name_and_an_expired_token_are_refused(state: State) -> None:
    secret, _ = issue_token(state.table, "demo", [Scope.READ])
    with pytest.raises(Unauthenticated):
        authenticate(state.table, basic("other", secret))
    old, _ = issue_token(state.table, "demo", [Scope.READ], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Unauthenticated):
        authenticate(state.table, f"Bearer {old}")


def test_a_revoked_token_is_refused(state: State) -> None:
    secret, token = issue_token(state.table, "demo", [Scope.READ])
    state.table.delete_token(token.digest)
    with pytest.raises(Unauthenticated):
        authenticate(state.table, f"Bearer {secret}")


def test_a_session_lasts_as_long_as_its_token_and_holds_none_of_it(state: State) -> None:
    secret, token = issue_token(state.table, "demo", [Scope.READ])
    session = open_session(state.table, token)
    assert secret not in session
    assert token_of_session(state.table, session) == token
    assert token_of_session(state.table, secret) is None, "a token is no session"
    with pytest.raises(Unauthenticated):
        authenticate(state.table, f"Bearer {session}")
    state.table.delete_token(token.digest)
    assert token_of_session(state.table, session) is None


def test_a_session_ends_by_itself_and_by_hand(state: State) -> None:
    now = datetime.now(UTC)
    _, token = issue_token(state.table, "demo", [Scope.READ], expires_at=now + timedelta(hours=1))
    session = open_session(state.table, token, now)
    assert token_of_session(state.table, session, now + timedelta(hours=2)) is None
    assert token_of_session(state.table, session, now) == token
    close_session(state.table, session)
    assert token_of_session(state.table, session, now) is None
