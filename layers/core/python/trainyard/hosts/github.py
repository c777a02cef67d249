"""GitHub, GitHub Enterprise, and whatever speaks its webhooks and statuses, such as the embedded git host.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
https://docs.github.com/en/rest/commits/statuses
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from trainyard.hosts.addresses import basic_authorization, checked_address, repository_path, token_secret
from trainyard.hosts.contract import (
    CommitStatus,
    Delivery,
    FetchAddress,
    GitHost,
    Ignored,
    Ping,
    Pushed,
    PushedRef,
)
from trainyard.hosts.deliveries import (
    MAX_PUSHER,
    commit_or_none,
    header,
    hmac_sha256,
    is_branch_or_tag,
    json_object,
    same,
    text_at,
    unexpected,
    wrong_signature,
)
from trainyard.hosts.requests import send_json
from trainyard.model.repository import Repository


class GitHub(GitHost):
    name = "github"
    public_api_url = "https://api.github.com"

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
        return _read_push(_payload(headers, body), header(headers, "X-GitHub-Delivery"))

    def fetch_address(self, repository: Repository, token: str | None) -> FetchAddress:
        # GitHub takes any user name with a token; this one is what its documentation writes.
        headers = basic_authorization(token, "x-access-token") if token else {}
        return FetchAddress(checked_address(repository.clone_url), headers)

    def report_status(self, repository: Repository, token: str, status: CommitStatus) -> None:
        root = (repository.api_url or self.public_api_url).rstrip("/")
        send_json(
            f"{root}/repos/{repository_path(repository)}/statuses/{status.sha}",
            {
                "state": status.state.value,
                "context": status.context,
                "description": status.description,
                "target_url": status.target_url or None,
            },
            {"Authorization": f"Bearer {token_secret(token)}", "X-GitHub-Api-Version": "2022-11-28"},
        )


def _payload(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The payload: the body itself, or its form field where the webhook was set to GitHub's other content type."""
    if not header(headers, "Content-Type").startswith("application/x-www-form-urlencoded"):
        return json_object(body)
    try:
        fields = parse_qs(body.decode(), max_num_fields=4)
    except ValueError:
        raise unexpected("a form field named payload") from None
    return json_object(fields.get("payload", [""])[0])


def _read_push(payload: dict[str, Any], delivery: str) -> Delivery:
    ref = text_at(payload, "ref")
    after = commit_or_none(text_at(payload, "after"))
    if after is None or payload.get("deleted") is True:
        return Ignored(f"{ref} was deleted")
    if not is_branch_or_tag(ref):
        return Ignored(f"{ref} is neither a branch nor a tag")
    if ref.startswith("refs/tags/"):
        # `after` of an annotated tag is the tag object; `head_commit` is the commit that it stands for.
        after = commit_or_none(text_at(payload, "head_commit", "id") or after) or after
    before = text_at(payload, "before")
    pusher = text_at(payload, "pusher", "name") or text_at(payload, "sender", "login")
    return Pushed([PushedRef(ref, commit_or_none(before) if before else None, after, pusher[:MAX_PUSHER], delivery)])
