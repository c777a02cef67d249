"""GitHub, GitHub Enterprise, and whatever speaks its webhooks and statuses, such as the embedded git host.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
https://docs.github.com/en/rest/commits/statuses
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from trainyard.hosts.addresses import (
    basic_authorization,
    checked_address,
    host_root,
    repository_path,
    token_secret,
)
from trainyard.hosts.contract import (
    CommitStatus,
    Delivery,
    FetchAddress,
    GitHost,
    Ignored,
    Ping,
)
from trainyard.hosts.deliveries import (
    header,
    hmac_sha256,
    json_object,
    read_push,
    same,
    text_at,
    unexpected,
    wrong_signature,
)
from trainyard.hosts.requests import get_json, send_json
from trainyard.hosts.webhooks import ensure_webhook, remove_webhooks
from trainyard.model.repository import Repository


class GitHub(GitHost):
    name = "github"

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: datetime | None = None) -> None:  # noqa: ARG002 - GitHub signs no time
        expected = "sha256=" + hmac_sha256(secret, body).hex()
        if not secret or not same(header(headers, "X-Hub-Signature-256"), expected):
            raise wrong_signature()

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        event = header(headers, "X-GitHub-Event")
        if event == "ping":
            return Ping()
        if event != "push":
            return Ignored(f"event {event or 'without a name'}")
        payload = _payload(headers, body)
        pusher = text_at(payload, "pusher", "name") or text_at(payload, "sender", "login")
        # `after` of an annotated tag is the tag object; `head_commit` is the commit that it stands for.
        tagged = text_at(payload, "head_commit", "id")
        return read_push(payload, tagged, pusher, header(headers, "X-GitHub-Delivery"))

    def fetch_address(self, repository: Repository, token: str | None) -> FetchAddress:
        # GitHub takes any user name with a token; this one is what its documentation writes.
        headers = basic_authorization(token, "x-access-token") if token else {}
        return FetchAddress(checked_address(repository.clone_url), headers)

    def default_branch(self, repository: Repository, token: str) -> str:
        return text_at(get_json(_api(repository), _authorization(token)), "default_branch")

    def report_status(self, repository: Repository, token: str, status: CommitStatus) -> None:
        send_json(
            f"{_api(repository)}/statuses/{status.sha}",
            {
                "state": status.state.value,
                "context": status.context,
                "description": status.description,
                "target_url": status.target_url or None,
            },
            _authorization(token),
        )

    def create_webhook(self, repository: Repository, token: str, address: str, secret: str) -> bool:
        config = {"url": address, "content_type": "json", "secret": secret, "insecure_ssl": "0"}
        hook = {"name": "web", "active": True, "events": ["push"], "config": config}
        hooks = f"{_api(repository)}/hooks"
        ensure_webhook(hooks, hook, _authorization(token), ("config", "url"), update="PATCH")
        return True

    def remove_webhook(self, repository: Repository, token: str, address: str) -> None:
        remove_webhooks(f"{_api(repository)}/hooks", address, _authorization(token), ("config", "url"))


def _api(repository: Repository) -> str:
    """Root of the repository in the API: of the public host, of one's own (Enterprise Server), or as registered."""
    root = host_root(repository)
    known = "https://api.github.com" if root == "https://github.com" else f"{root}/api/v3"
    return f"{(repository.api_url or known).rstrip('/')}/repos/{repository_path(repository)}"


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_secret(token)}", "X-GitHub-Api-Version": "2022-11-28"}


def _payload(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The payload: the body itself, or its form field where the webhook was set to GitHub's other content type."""
    if not header(headers, "Content-Type").startswith("application/x-www-form-urlencoded"):
        return json_object(body)
    try:
        fields = parse_qs(body.decode(), max_num_fields=4)
    except ValueError:
        raise unexpected("a form field named payload") from None
    return json_object(fields.get("payload", [""])[0])
