"""Signing in with an access token, and out again, however one came in."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from trainyard.model.errors import Unauthenticated
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store.access import authenticate, close_session, open_session
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.csrf import fields
from trainyard.web.pages.routing import Visit, page

# A path on this very site: `//host` and `/\host` are other sites to a browser.
_INSIDE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


@page("GET", "/sign-in")
def show_sign_in(visit: Visit) -> PageAnswer:
    if visit.token is not None:
        return visit.redirect(inside(visit.request.query.get("to", "")))
    return sign_in_page(visit, inside(visit.request.query.get("to", "")))


@page("POST", "/sign-in")
def sign_in(visit: Visit) -> PageAnswer:
    """The token is looked at once; the browser gets a session instead."""
    given = dict(fields(visit.request))
    to = inside(given.get("to", ""))
    table = visit.state.table
    try:
        token = authenticate(table, f"Bearer {given.get('token', '').strip() or '-'}")
    except Unauthenticated as error:
        return sign_in_page(visit, to, 401, wrong_token=error.message)
    assert token is not None
    enter(visit, open_session(table, token))
    return visit.redirect(to)


@page("POST", "/sign-out")
def sign_out(visit: Visit) -> PageAnswer:
    if visit.cookies.session:
        close_session(visit.state.table, visit.cookies.session)
        visit.cookies.sign_out()
    return visit.redirect("/")


def sign_in_page(
    visit: Visit, to: str, status: int = 200, *, wrong_token: Text | None = None, refused: Text | None = None
) -> PageAnswer:
    """`wrong_token`: what is wrong with the token; `refused`: why another service's word was not taken."""
    service = urlsplit(settings().oidc_issuer).netloc
    return visit.page("sign_in.html", status, to=to, error=wrong_token, refused=refused, service=service)


def enter(visit: Visit, session: str) -> None:
    """The browser is signed in with this session from now on, and with no other."""
    if visit.cookies.session:
        close_session(visit.state.table, visit.cookies.session)
    visit.cookies.sign_in(session)


def inside(to: str) -> str:
    """`to`, if it is a path on this site; the first page otherwise."""
    return to if _INSIDE.fullmatch(to) else "/"
