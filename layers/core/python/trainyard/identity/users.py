"""Which user here somebody is that a provider vouches for: bound at the first sign-in, and never to a name in use."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from trainyard.model.errors import Forbidden
from trainyard.model.settings import Settings
from trainyard.model.text import Text
from trainyard.model.user import Identity, User
from trainyard.store.table import Table

EVERYBODY = "*"
_LONGEST_NAME = 50
_NUMBERED = 9


def require_admitted(claims: dict[str, Any], known: Settings) -> None:
    """Forbidden unless the provider's user may use this installation: every restriction that is set must hold.

    With none set nobody may: an issuer such as Google's vouches for the whole world.
    """
    domains, groups = known.oidc_email_domains, known.oidc_groups
    is_admitted = bool(domains or groups)
    if domains and EVERYBODY not in domains:
        is_admitted = _domain(claims) in [domain.lower() for domain in domains]
    if groups:
        is_admitted = is_admitted and not set(groups).isdisjoint(_groups(claims, known.oidc_group_claim))
    if not is_admitted:
        raise Forbidden(
            Text(
                en="The sign-in service knows you, but you were not admitted to this installation. Ask its operator.",
                zh="登录服务已确认您的身份，但您尚未获准使用本平台。请联系平台管理员。",
            ),
            code="not_admitted",
        )


def user_of(table: Table, issuer: str, claims: dict[str, Any], user_claim: str, now: datetime | None = None) -> str:
    """The user's name here. At the first sign-in it is made from the claim; later changes of the claim change nothing.

    `claims` were verified; issuer and subject alone say who somebody is.
    """
    digest = hashlib.sha256(f"{issuer}\n{claims['sub']}".encode()).hexdigest()
    at = now or datetime.now(UTC)
    for name in _names(_claimed_name(claims, user_claim), digest):
        known = table.identity(digest)
        if known is not None:
            return known.user
        if _is_in_use(table, name):
            continue
        identity = Identity(digest=digest, issuer=issuer, subject=claims["sub"], user=name, created_at=at)
        if table.create_identity(identity, User(name=name, identity=digest, created_at=at)):
            return name
    # The last name holds a hash that nobody else has: only another sign-in of the same person can have been quicker.
    known = table.identity(digest)
    assert known is not None, digest
    return known.user


def plain_name(text: str) -> str:
    """A user's name out of whatever a provider calls somebody: of a mail address what is before the @."""
    local = text.partition("@")[0]
    ascii_only = unicodedata.normalize("NFKD", local).encode("ascii", "ignore").decode().lower()
    joined = re.sub(r"[^a-z0-9._-]+", "-", ascii_only)
    return joined.lstrip("._-")[:_LONGEST_NAME].rstrip("._-") or "user"


def _claimed_name(claims: dict[str, Any], user_claim: str) -> str:
    for name in (user_claim, "preferred_username", "email"):
        claimed = claims.get(name)
        if isinstance(claimed, str) and claimed.strip():
            return claimed
    return ""


def _names(claimed: str, digest: str) -> Iterator[str]:
    plain = plain_name(claimed)
    yield plain
    for number in range(2, _NUMBERED + 1):
        yield f"{plain}-{number}"
    yield f"{plain}-{digest[:10]}"


def _is_in_use(table: Table, name: str) -> bool:
    """Also by somebody from before users had rows: with a token, or a repository."""
    return bool(table.user(name) or table.tokens_of(name) or table.repositories_of(name, 1).rows)


def _domain(claims: dict[str, Any]) -> str | None:
    """Of a mail address that the provider has verified; anybody can write down any other."""
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        return None
    return email.rpartition("@")[2].lower()


def _groups(claims: dict[str, Any], claim: str) -> list[str]:
    told = claims.get(claim)
    groups = told if isinstance(told, list) else [told]
    return [one for one in groups if isinstance(one, str)]
