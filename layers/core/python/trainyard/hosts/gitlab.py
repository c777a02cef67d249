"""GitLab, public or one's own.

Webhooks are signed as Standard Webhooks with a key (`whsec_...`); an older GitLab sends the secret in the clear.
https://docs.gitlab.com/user/project/integrations/webhooks/
https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from trainyard.hosts.addresses import (
    basic_authorization,
    checked_address,
    host_root,
    repository_path,
    token_secret,
)
from trainyard.hosts.contract import (
    CommitState,
    CommitStatus,
    Delivery,
    FetchAddress,
    GitHost,
    HostRefusedError,
    Ignored,
)
from trainyard.hosts.deliveries import (
    header,
    json_object,
    read_push,
    same,
    text_at,
    wrong_signature,
)
from trainyard.hosts.requests import get_json, send_json
from trainyard.hosts.standard_webhooks import SIGNING_KEY, key_of, new_signing_key, signature
from trainyard.hosts.webhooks import ensure_webhook, remove_webhooks
from trainyard.model.repository import Repository

_TOLERANCE_SECONDS = 300
_WORDS = {
    CommitState.PENDING: "pending",
    CommitState.SUCCESS: "success",
    CommitState.FAILURE: "failed",
    CommitState.ERROR: "failed",
}


class GitLab(GitHost):
    name = "gitlab"
    compare_path = "/-/compare/{base}...{head}"

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: datetime | None = None) -> None:
        """By the signature where there is one; else, from a GitLab that cannot sign, by the secret itself."""
        if secret.startswith(SIGNING_KEY) and header(headers, "webhook-signature"):
            _verify_signed(headers, body, secret, now or datetime.now(UTC))
        elif not secret or not same(header(headers, "X-Gitlab-Token"), secret):
            raise wrong_signature()

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        event = header(headers, "X-Gitlab-Event")
        if event not in ("Push Hook", "Tag Push Hook"):
            return Ignored(f"event {event or 'without a name'}")
        payload = json_object(body)
        delivery = header(headers, "Idempotency-Key") or header(headers, "X-Gitlab-Event-UUID")
        # `after` of an annotated tag is the tag object, `checkout_sha` the commit.
        tagged = text_at(payload, "checkout_sha")
        pusher = text_at(payload, "user_username") or text_at(payload, "user_name")
        return read_push(payload, tagged, pusher, delivery)

    def fetch_address(self, repository: Repository, token: str | None) -> FetchAddress:
        headers = basic_authorization(token, "oauth2") if token else {}
        return FetchAddress(checked_address(repository.clone_url), headers)

    def default_branch(self, repository: Repository, token: str) -> str:
        return text_at(get_json(_api(repository), _authorization(token)), "default_branch")

    def report_status(self, repository: Repository, token: str, status: CommitStatus) -> None:
        told = {"state": _WORDS[status.state], "name": status.context, "description": status.description}
        if status.target_url:
            told["target_url"] = status.target_url
        try:
            send_json(f"{_api(repository)}/statuses/{status.sha}", told, _authorization(token))
        except HostRefusedError as error:
            # GitLab refuses to set a status to the state that it has, whatever else is new in it: nothing is lost.
            if error.status != 400 or "Cannot transition status" not in error.answer:
                raise

    def new_secret(self) -> str:
        return new_signing_key()

    def create_webhook(self, repository: Repository, token: str, address: str, secret: str) -> bool:
        """Signed where this GitLab can; an older one ignores the key and is given the secret to send in the clear."""
        hook = {"url": address, "push_events": True, "tag_push_events": True, "enable_ssl_verification": True}
        if not (secret.startswith(SIGNING_KEY) and self._ensure(repository, token, hook | {"signing_token": secret})):
            self._ensure(repository, token, hook | {"token": secret})
        return True

    def remove_webhook(self, repository: Repository, token: str, address: str) -> None:
        remove_webhooks(f"{_api(repository)}/hooks", address, _authorization(token), ("url",))

    def _ensure(self, repository: Repository, token: str, hook: dict[str, Any]) -> bool:
        """Whether it will be signed."""
        hooks = f"{_api(repository)}/hooks"
        made = ensure_webhook(hooks, hook, _authorization(token), ("url",), update="PUT")
        return isinstance(made, dict) and made.get("signing_token_present") is True


def _verify_signed(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    """Any of several signatures may fit while keys change."""
    sent_at = header(headers, "webhook-timestamp")
    if not re.fullmatch(r"[0-9]{1,12}", sent_at) or abs(now.timestamp() - int(sent_at)) > _TOLERANCE_SECONDS:
        raise wrong_signature()
    try:
        key = key_of(secret)
    except binascii.Error:
        raise wrong_signature() from None
    delivery = header(headers, "webhook-id").encode(errors="surrogatepass")
    expected = signature(key, delivery, sent_at.encode(), body)
    fits = [same(given, expected) for given in header(headers, "webhook-signature").split()]
    if not key or not any(fits):
        raise wrong_signature()


def _api(repository: Repository) -> str:
    root = (repository.api_url or f"{host_root(repository)}/api/v4").rstrip("/")
    # Groups of groups: the whole path is the project's name, as one part of the address.
    return f"{root}/projects/{quote(repository_path(repository, None), safe='')}"


def _authorization(token: str) -> dict[str, str]:
    return {"PRIVATE-TOKEN": token_secret(token)}
