"""Gitee. Its webhook proves who sent it, not what was sent: the signature does not cover the body.

https://help.gitee.com/webhook/gitee-webhook-push-data-format
https://gitee.com/api/v5/swagger
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote_plus

from trainyard.hosts.addresses import (
    basic_authorization,
    checked_address,
    host_root,
    repository_path,
    token_secret,
)
from trainyard.hosts.contract import CommitState, CommitStatus, Delivery, FetchAddress, GitHost, Ignored, Ping
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

_TOLERANCE_SECONDS = 3600


class Gitee(GitHost):
    name = "gitee"

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: datetime | None = None) -> None:  # noqa: ARG002 - the signature does not cover the body
        """The token is the password itself, or the signature of the time with it, whichever the webhook was set to."""
        given, sent_at = header(headers, "X-Gitee-Token"), header(headers, "X-Gitee-Timestamp")
        is_password = same(given, secret)
        signature = base64.b64encode(
            hmac_sha256(secret, f"{sent_at}\n{secret}".encode(errors="surrogatepass"))
        ).decode()
        # The documentation has the signature encoded for an address; what is sent is not.
        is_signature = same(given, signature) | same(given, quote_plus(signature))
        fresh = _is_fresh(sent_at, now or datetime.now(UTC))
        if not secret or not (is_password or (is_signature and fresh)):
            raise wrong_signature()

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        if header(headers, "X-Gitee-Ping").lower() == "true":
            return Ping()
        event = header(headers, "X-Gitee-Event")
        if event not in ("Push Hook", "Tag Push Hook"):
            return Ignored(f"event {event or 'without a name'}")
        payload = json_object(body)
        pusher = text_at(payload, "pusher", "username") or text_at(payload, "user_name")
        return read_push(payload, text_at(payload, "head_commit", "id"), pusher, "")

    def fetch_address(self, repository: Repository, token: str | None) -> FetchAddress:
        headers = basic_authorization(token, "oauth2") if token else {}
        return FetchAddress(checked_address(repository.clone_url), headers)

    def default_branch(self, repository: Repository, token: str) -> str:
        return text_at(get_json(_api(repository), _authorization(token)), "default_branch")

    def report_status(self, repository: Repository, token: str, status: CommitStatus) -> None:
        """Gitee has no commit statuses; a comment says how it ended. One for each step on the way would be noise."""
        if status.state is CommitState.PENDING:
            return
        send_json(f"{_api(repository)}/commits/{status.sha}/comments", {"body": comment(status)}, _authorization(token))

    def create_webhook(self, repository: Repository, token: str, address: str, secret: str) -> bool:
        # 1: the password field is the key of a signature, and not sent itself.
        hook = {"url": address, "encryption_type": 1, "password": secret, "push_events": True, "tag_push_events": True}
        hooks = f"{_api(repository)}/hooks"
        ensure_webhook(hooks, hook, _authorization(token), ("url",), update="PATCH")
        return True

    def remove_webhook(self, repository: Repository, token: str, address: str) -> None:
        remove_webhooks(f"{_api(repository)}/hooks", address, _authorization(token), ("url",))


def comment(status: CommitStatus) -> str:
    """A status in Markdown, for hosts that have comments only."""
    mark = "✅" if status.state is CommitState.SUCCESS else "❌"
    # A description may quote what a script said: shown as it is, never as markup.
    said = re.sub(r"([\\`*_\[\]<>@#|~!])", r"\\\1", status.description)
    return f"{mark} **{status.context}**: {said}" + (f"\n\n{status.target_url}" if status.target_url else "")


def _is_fresh(sent_at: str, now: datetime) -> bool:
    if not re.fullmatch(r"[0-9]{1,15}", sent_at):
        return False
    return abs(now.timestamp() - int(sent_at) / 1000) <= _TOLERANCE_SECONDS


def _api(repository: Repository) -> str:
    root = (repository.api_url or f"{host_root(repository)}/api/v5").rstrip("/")
    return f"{root}/repos/{repository_path(repository)}"


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"token {token_secret(token)}"}
