"""Access tokens: made once, shown once, stored as a hash, compared by looking the hash up."""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from trainyard.model.errors import Unauthenticated
from trainyard.model.repository import AccessToken, Scope
from trainyard.model.session import Session
from trainyard.model.text import Text
from trainyard.model.user import User
from trainyard.store.table import AlreadyThereError, Table

TOKEN_PREFIX = "ty_"  # noqa: S105 - not a secret: it lets secret scanners recognise one
SESSION_LASTS = timedelta(days=7)
_WRONG = Text(
    en="User name or token is wrong or has expired. Make a new token and sign in with your user name and it.",
    zh="用户名或令牌错误，或令牌已过期。请新建令牌，并使用用户名和令牌登录。",
)


def issue_token(
    table: Table,
    user: str,
    scopes: list[Scope],
    name: str = "",
    expires_at: datetime | None = None,
    *,
    for_session: bool = False,
) -> tuple[str, AccessToken]:
    """A new token: the secret, which is never to be had again, and the row that was stored.

    The name is the user's from now on: nobody who signs in without a token is given it.
    """
    with suppress(AlreadyThereError):
        table.create_user(User(name=user, created_at=datetime.now(UTC)))
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    digest = token_digest(secret)
    token = AccessToken(
        id=digest[:12],
        digest=digest,
        user=user,
        name=name,
        scopes=scopes,
        created_at=datetime.now(UTC),
        expires_at=expires_at,
        for_session=for_session,
    )
    table.create_token(token)
    return secret, token


def authenticate(table: Table, authorization: str | None) -> AccessToken | None:
    """The token behind an Authorization header: `Bearer SECRET`, or `Basic USER:SECRET` as git sends it.

    None without a header. Unauthenticated if it is wrong in any way, always with the same words. Only the hash is
    looked up, so how long the answer takes tells nothing about a secret.
    """
    if not authorization:
        return None
    user, secret = _credentials(authorization)
    token = table.token(token_digest(secret))
    if token is None or (user is not None and user != token.user):
        raise Unauthenticated(_WRONG)
    if token.expires_at is not None and token.expires_at <= datetime.now(UTC):
        raise Unauthenticated(_WRONG)
    return token


def open_session(table: Table, token: AccessToken, now: datetime | None = None) -> str:
    """Sign the token's user in at the pages: a secret of its own, so that a browser never keeps the token."""
    at = now or datetime.now(UTC)
    secret = secrets.token_urlsafe(32)
    ends = [at + SESSION_LASTS, *([token.expires_at] if token.expires_at else [])]
    table.create_session(
        Session(
            digest=token_digest(secret),
            token_digest=token.digest,
            user=token.user,
            created_at=at,
            expires_at=min(ends),
        )
    )
    return secret


def open_session_without_token(table: Table, user: str, name: str) -> str:
    """Sign in somebody for whom another service vouches; `name` says which, in the list of their tokens."""
    ends = datetime.now(UTC) + SESSION_LASTS
    _, token = issue_token(table, user, [Scope.READ, Scope.WRITE], name, ends, for_session=True)
    return open_session(table, token)


def token_of_session(table: Table, secret: str, now: datetime | None = None) -> AccessToken | None:
    """What a session may do: its token as it is now. None once either has expired or was taken back."""
    at = now or datetime.now(UTC)
    session = table.session(token_digest(secret))
    if session is None or session.expires_at <= at:
        return None
    token = table.token(session.token_digest)
    return None if token is None or (token.expires_at is not None and token.expires_at <= at) else token


def close_session(table: Table, secret: str) -> None:
    token = token_of_session(table, secret)
    if token is not None and token.for_session:
        table.delete_token(token.digest)
    table.delete_session(token_digest(secret))


def token_digest(secret: str) -> str:
    # The secret has 256 random bits: nothing to guess, so a slow password hash would only cost time.
    return hashlib.sha256(secret.encode()).hexdigest()


def _credentials(authorization: str) -> tuple[str | None, str]:
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and value:
        return None, value.strip()
    if scheme.lower() == "basic":
        try:
            user, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:  # neither base64, nor ASCII, nor UTF-8 inside
            raise Unauthenticated(_WRONG) from None
        if colon:
            return user, secret
    raise Unauthenticated(_WRONG)
