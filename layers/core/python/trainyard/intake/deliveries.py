"""A webhook arrives. What arrived is stored before anything is done with it, and the answer waits for nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from trainyard.hosts.contract import Delivery, GitHost, Ignored, Ping
from trainyard.hosts.deliveries import wrong_signature
from trainyard.hosts.registry import host
from trainyard.intake.connection import CODECOMMIT, connected_repository
from trainyard.intake.pushes import record_push
from trainyard.model.errors import TooLarge, Unauthenticated
from trainyard.model.repository import FULL_NAME, RepositoryKind
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.secrets import webhook_secret_name

MAX_BODY_BYTES = 25_000_000
"""GitHub's own limit, the largest of all hosts. (A function takes 6 MB, so a larger one does not even reach us.)"""
# Without this, every webhook would cost one call more.
_SECRET_KEPT_SECONDS = 60.0
_SECRET_RENEWED_SECONDS = 5.0
# A copy is kept for people to look at; what proves who sent it is not theirs to see.
_SECRET_HEADERS = ("token", "authorization", "signature", "cookie", "secret", "key")


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery."""

    kind: Literal["ping", "push", "ignored", "repeated"]
    pushes: list[str] = field(default_factory=list)
    """Ids of its pushes; those of a repeated delivery were stored before."""
    reason: str = ""
    """Why it was ignored."""


def receive_delivery(
    state: State, host_name: str, repository_name: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> Receipt:
    """Verify a webhook and store the pushes that it tells of. The same delivery again changes nothing.

    Raises:
        NotFound: no such host.
        TooLarge: more than `MAX_BODY_BYTES`.
        Unauthenticated: not signed with the project's secret, or no such project of that host.
        InvalidInput: not what the host sends.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(
            Text(
                en=f"The delivery is larger than {MAX_BODY_BYTES // 10**6} MB. Push fewer commits at once.",
                zh=f"该请求超过 {MAX_BODY_BYTES // 10**6} MB。请减少单次推送的提交数量。",
            )
        )
    git_host = host(host_name)
    secret = _verify(state, git_host, repository_name, headers, body, now)
    read = git_host.read(headers, body)
    # Gitee writes the secret into the body, too.
    shown = body.replace(secret.encode(), b"***")
    return _received(state, read, repository_name, _evidence(host_name, repository_name, headers, shown, now), now)


def receive_event(state: State, event: dict[str, Any], now: datetime) -> Receipt:
    """Store the push that an EventBridge event of CodeCommit tells of. Whose event it is AWS itself vouches for.

    An event of a repository that nobody connected is ignored: the rule cannot know which ones are.

    Raises:
        InvalidInput: it is no event of CodeCommit.
    """
    body = json.dumps(event).encode()
    read = host(CODECOMMIT).read({}, body)
    if isinstance(read, Ignored):
        return Receipt("ignored", reason=read.reason)
    address = codecommit_address(str(event.get("region")), str(event["detail"].get("repositoryName")))
    name = connected_repository(state, address)
    repository = state.table.repository(name) if name else None
    if repository is None or (repository.host, repository.clone_url) != (CODECOMMIT, address):
        return Receipt("ignored", reason="not connected")
    if repository.kind is not RepositoryKind.PROJECT:
        return Receipt("ignored", reason="not a project")
    return _received(state, read, repository.full_name, _evidence(CODECOMMIT, repository.full_name, {}, body, now), now)


def codecommit_address(region: str, name: str) -> str:
    """The one clone address of a CodeCommit repository over https."""
    return f"https://git-codecommit.{region}.amazonaws.com/v1/repos/{name}"


def _received(state: State, read: Delivery, repository_name: str, evidence: bytes, now: datetime) -> Receipt:
    match read:
        case Ping():
            return Receipt("ping")
        case Ignored(reason=reason):
            return Receipt("ignored", reason=reason)
    recorded = [record_push(state, repository_name, pushed, evidence, now) for pushed in read.refs]
    new = [push for push, is_new in recorded if is_new]
    return Receipt("push", new) if new else Receipt("repeated", [push for push, _ in recorded])


def _verify(
    state: State, git_host: GitHost, repository_name: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> str:
    """The secret with which the delivery was signed."""
    repository = state.table.repository(repository_name) if FULL_NAME.fullmatch(repository_name) else None
    if repository is None or repository.host != git_host.name or repository.kind is not RepositoryKind.PROJECT:
        # As a wrong signature: whether a private project exists is told to nobody who does not know its secret.
        raise wrong_signature()
    name = webhook_secret_name(repository_name)
    secret = state.secrets.get(name, max_age=_SECRET_KEPT_SECONDS)
    try:
        return _fitting(git_host, headers, body, secret, now)
    except Unauthenticated:
        # It may have been renewed. A flood of wrong ones must not become a flood of calls.
        renewed = state.secrets.get(name, max_age=_SECRET_RENEWED_SECONDS)
        if renewed == secret:
            raise
        return _fitting(git_host, headers, body, renewed, now)


def _fitting(git_host: GitHost, headers: Mapping[str, str], body: bytes, secret: str | None, now: datetime) -> str:
    if secret is None:
        raise wrong_signature()
    git_host.verify(headers, body, secret, now)
    return secret


def _evidence(host_name: str, repository_name: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bytes:
    kept = {
        name.lower(): value
        for name, value in headers.items()
        if not any(part in name.lower() for part in _SECRET_HEADERS)
    }
    record = {
        "host": host_name,
        "repository": repository_name,
        "received_at": now.isoformat(),
        "headers": kept,
        "body": base64.b64encode(body).decode(),
    }
    return json.dumps(record).encode()
