"""The API as API Gateway calls it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from trainyard.model.repository import RepositoryKind, Scope
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.web import app, hooks


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def event(method: str, path: str, body: Any = None, query: str = "", **headers: str) -> dict[str, Any]:
    """An HTTP API event, payload version 2.0."""
    if isinstance(body, bytes):
        sent, coded = base64.b64encode(body).decode(), True
    else:
        sent, coded = (body if isinstance(body, str) or body is None else json.dumps(body)), False
    return {
        "version": "2.0",
        "routeKey": "ANY /v1/{proxy+}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example", **headers},
        "requestContext": {"http": {"method": method, "path": path}, "domainName": "api.example", "stage": "$default"},
        "body": sent,
        "isBase64Encoded": coded,
    }


Send = Callable[..., Reply]


@pytest.fixture
def web_state(state: State, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr(app, "state", lambda: state)
    monkeypatch.setattr(hooks, "state", lambda: state)
    own = Settings(
        git_base_url="http://127.0.0.1:3000", allowed_image_registries=["ghcr.io/team", "registry.example:5000"]
    )
    for room in ("intake.repositories", "intake.registry_logins", "web.routes.evaluation"):
        monkeypatch.setattr(f"trainyard.{room}.settings", lambda: own)
    return state


@pytest.fixture
def send(web_state: State) -> Send:
    """`send(method, path, body, query, token, **headers)`; None for the token: nobody signs in."""
    tokens = {user: issue_token(web_state.table, user, [Scope.WRITE])[0] for user in ("ada", "eve")}
    tokens["reader"] = issue_token(web_state.table, "ada", [Scope.READ])[0]
    tokens["operator"] = issue_token(web_state.table, "root", [Scope.OPERATE])[0]

    def _send(
        method: str, path: str, body: Any = None, query: str = "", token: str | None = "ada", **headers: str
    ) -> Reply:
        if token is not None:
            headers.setdefault("authorization", f"Bearer {tokens.get(token, token)}")
        answer = app.handle(event(method, path, body, query, **headers), None)
        assert json.dumps(answer).encode()
        return Reply(answer["statusCode"], answer["headers"], answer.get("body", ""))

    return _send


@pytest.fixture
def project(send: Send) -> str:
    reply = send("POST", "/v1/projects", {"name": "lenet5", "visibility": "private"})
    assert reply.status == 201, reply.text
    assert reply.json["repository"]["kind"] == RepositoryKind.PROJECT
    return "ada/lenet5"
