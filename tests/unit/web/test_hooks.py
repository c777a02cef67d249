from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from unit.web.conftest import Send, event

from trainyard.intake.deliveries import MAX_BODY_BYTES
from trainyard.store import State
from trainyard.store.secrets import webhook_secret_name
from trainyard.web.hooks import handle_hook

PUSH = json.dumps(
    {"ref": "refs/heads/main", "before": "b" * 40, "after": "a" * 40, "pusher": {"name": "ää"}}, ensure_ascii=False
)


@pytest.fixture
def secret(send: Send, project: str, web_state: State) -> str:
    return web_state.secrets.get(webhook_secret_name(project)) or ""


def deliver(body: str | bytes, secret: str, name: str = "lenet5", host: str = "github", **headers: str) -> Any:
    raw = body.encode() if isinstance(body, str) else body
    signature = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    sent = {"X-GitHub-Event": "push", "X-Hub-Signature-256": signature, **headers}
    call = event("POST", f"/hooks/{host}/ada/{name}", body, **sent)
    answer = handle_hook(call)
    return answer["statusCode"], json.loads(answer["body"])


def test_a_push_is_accepted_once(secret: str, web_state: State) -> None:
    status, first = deliver(PUSH, secret)
    assert (status, first["kind"]) == (202, "push")
    assert web_state.table.push(first["pushes"][0]) is not None
    assert deliver(PUSH, secret)[1]["kind"] == "repeated"


def test_the_signature_is_of_the_raw_bytes(secret: str) -> None:
    """A body that came as base64 is what was signed, not its coding."""
    assert deliver(PUSH.encode(), secret)[0] == 202


def test_ping_and_deletion(secret: str) -> None:
    assert deliver("{}", secret, **{"X-GitHub-Event": "ping"})[1]["kind"] == "ping"
    deletion = json.dumps({"ref": "refs/heads/main", "after": "0" * 40, "deleted": True})
    assert deliver(deletion, secret)[1]["kind"] == "ignored"


def test_refusals_lose_nothing_and_say_why(secret: str, web_state: State) -> None:
    assert deliver(PUSH, "wrong")[0] == 401
    assert deliver(PUSH, secret, name="unknown")[0] == 401
    assert deliver(PUSH, secret, host="unknown")[0] == 404
    assert deliver("[]", secret)[0] == 422
    status, body = deliver(" " * (MAX_BODY_BYTES + 1), secret)
    assert (status, body["code"]) == (413, "too_large")
    assert web_state.table.pushes_of("ada/lenet5").rows == []
