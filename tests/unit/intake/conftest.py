"""A project, its owner's token and a stranger's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trainyard.model.repository import AccessToken, Repository, RepositoryKind, Scope, Visibility
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.secrets import webhook_secret_name

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = "a webhook's secret"


def make_repository(full_name: str = "ada/lenet5", **changes: object) -> Repository:
    known = Repository(
        full_name=full_name,
        kind=RepositoryKind.PROJECT,
        host="github",
        clone_url=f"https://github.com/{full_name}.git",
        owner=full_name.split("/", maxsplit=1)[0],
        visibility=Visibility.PRIVATE,
        created_at=NOW,
    )
    return known.model_copy(update=changes)


@pytest.fixture
def project(state: State) -> Repository:
    repository = make_repository()
    state.table.create_repository(repository)
    state.secrets.put(webhook_secret_name(repository.full_name), SECRET)
    return repository


@pytest.fixture
def ada(state: State) -> AccessToken:
    return issue_token(state.table, "ada", [Scope.WRITE])[1]


@pytest.fixture
def reader(state: State) -> AccessToken:
    return issue_token(state.table, "ada", [Scope.READ])[1]


@pytest.fixture
def stranger(state: State) -> AccessToken:
    return issue_token(state.table, "eve", [Scope.WRITE])[1]
