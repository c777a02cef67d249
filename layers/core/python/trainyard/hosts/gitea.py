"""Gitea, and Forgejo, which grew out of it and signs in its own name.

https://docs.gitea.com/usage/webhooks
https://forgejo.org/docs/latest/user/webhooks/
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from trainyard.hosts.addresses import (
    basic_authorization,
    checked_address,
    host_root,
    repository_path,
    token_secret,
)
from trainyard.hosts.contract import CommitStatus, Delivery, FetchAddress, GitHost, Ignored, Ping
from trainyard.hosts.deliveries import (
    header,
    hmac_sha256,
    json_object,
    read_push,
    same,
    text_at,
    wrong_signature,
)
from trainyard.hosts.requests import get_json, send_json
from trainyard.hosts.webhooks import ensure_webhook, remove_webhooks
from trainyard.model.repository import Repository


class Gitea(GitHost):
    name = "gitea"
    brand: ClassVar[str] = "Gitea"
    """As it stands in the names of its headers."""

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: datetime | None = None) -> None:  # noqa: ARG002 - it signs no time
        expected = hmac_sha256(secret, body).hex()
        if not secret or not same(header(headers, f"X-{self.brand}-Signature"), expected):
            raise wrong_signature()

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        event = header(headers, f"X-{self.brand}-Event")
        if event != "push":
            return Ignored(f"event {event or 'without a name'}")
        payload = json_object(body)
        if _is_test(payload):
            return Ping()
        pusher = text_at(payload, "pusher", "login") or text_at(payload, "pusher", "username")
        tagged = text_at(payload, "head_commit", "id")
        # Its X-Gitea-Delivery is another one when somebody replays a delivery, so it does not tell pushes apart.
        return read_push(payload, tagged, pusher, "")

    def fetch_address(self, repository: Repository, token: str | None) -> FetchAddress:
        headers = basic_authorization(token, "oauth2") if token else {}
        return FetchAddress(checked_address(repository.clone_url), headers)

    def default_branch(self, repository: Repository, token: str) -> str:
        return text_at(get_json(_api(repository), _authorization(token)), "default_branch")

    def report_status(self, repository: Repository, token: str, status: CommitStatus) -> None:
        told = {
            "state": status.state.value,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
        }
        send_json(f"{_api(repository)}/statuses/{status.sha}", told, _authorization(token))

    def create_webhook(self, repository: Repository, token: str, address: str, secret: str) -> bool:
        config = {"url": address, "content_type": "json", "secret": secret}
        hook = {"type": self.name, "active": True, "events": ["push"], "config": config}
        hooks = f"{_api(repository)}/hooks"
        ensure_webhook(hooks, hook, _authorization(token), ("config", "url"), update="PATCH")
        return True

    def remove_webhook(self, repository: Repository, token: str, address: str) -> None:
        remove_webhooks(f"{_api(repository)}/hooks", address, _authorization(token), ("config", "url"))


class Forgejo(Gitea):
    name = "forgejo"
    brand = "Forgejo"


def _is_test(payload: Mapping[str, Any]) -> bool:
    """The button "Test delivery" sends a push of the newest commit that moves nothing."""
    after = text_at(payload, "after")
    return bool(after.strip("0")) and text_at(payload, "before") == after


def _api(repository: Repository) -> str:
    root = (repository.api_url or f"{host_root(repository)}/api/v1").rstrip("/")
    return f"{root}/repos/{repository_path(repository)}"


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"token {token_secret(token)}"}
