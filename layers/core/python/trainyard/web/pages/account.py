"""One's own access tokens: the password for git, and the key for programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trainyard.intake.permissions import require_scope
from trainyard.model.errors import InvalidInput
from trainyard.model.repository import AccessToken, Scope
from trainyard.model.text import Text
from trainyard.store.access import issue_token
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.csrf import fields
from trainyard.web.pages.routing import Visit, page

_LONGEST_WITHOUT_TOKEN = timedelta(days=365)
_LIFETIMES = {"30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365), "": None}


@page("GET", "/account")
def show_account(visit: Visit) -> PageAnswer:
    return _account(visit, None)


@page("POST", "/account/tokens")
def add_token(visit: Visit) -> PageAnswer:
    """The secret is on the page that answers, and never again."""
    own = require_scope(visit.token, Scope.READ)
    given = dict(fields(visit.request))
    scope, lifetime = given.get("scope", "read"), given.get("days", "90")
    if scope not in ("read", "write") or lifetime not in _LIFETIMES:
        raise InvalidInput(Text(en="Choose from the lists.", zh="请从列表中选择。"))
    # Nobody gets more by making a token than the token one is signed in with, nor for longer.
    require_scope(own, Scope(scope))
    lasts = _LIFETIMES[lifetime]
    ends = [*([datetime.now(UTC) + lasts] if lasts else []), *_longest(own)]
    scopes = [Scope.READ] if scope == "read" else [Scope.READ, Scope.WRITE]
    secret, _ = issue_token(
        visit.state.table, own.user, scopes, given.get("name", "").strip()[:100], min(ends, default=None)
    )
    return _account(visit, secret, 201)


@page("POST", "/account/tokens/{token}/revoke")
def revoke_token(visit: Visit) -> PageAnswer:
    own = require_scope(visit.token, Scope.WRITE)
    for token in visit.state.table.tokens_of(own.user):
        if token.id == visit.place["token"]:
            visit.state.table.delete_token(token.digest)
    return visit.redirect("/account")


def _longest(own: AccessToken) -> list[datetime]:
    """Not longer than the token one is signed in with. Who signed in without one comes back to make another."""
    if own.for_session:
        return [datetime.now(UTC) + _LONGEST_WITHOUT_TOKEN]
    return [own.expires_at] if own.expires_at else []


def _account(visit: Visit, secret: str | None, status: int = 200) -> PageAnswer:
    own = require_scope(visit.token, Scope.READ)
    tokens = sorted(visit.state.table.tokens_of(own.user), key=lambda token: token.created_at, reverse=True)
    return visit.page("account.html", status, own=own, tokens=tokens, secret=secret)
