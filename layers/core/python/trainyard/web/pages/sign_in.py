"""Signing in with an access token, and out again."""

from __future__ import annotations

import re

from trainyard.model.errors import Unauthenticated
from trainyard.store.access import authenticate, close_session, open_session
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.csrf import fields
from trainyard.web.pages.routing import Visit, page

# A path on this very site: `//host` and `/\host` are other sites to a browser.
_INSIDE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


@page("GET", "/sign-in")
def show_sign_in(visit: Visit) -> PageAnswer:
    if visit.token is not None:
        return visit.redirect(_inside(visit.request.query.get("to", "")))
    return visit.page("sign_in.html", to=_inside(visit.request.query.get("to", "")), error=None)


@page("POST", "/sign-in")
def sign_in(visit: Visit) -> PageAnswer:
    """The token is looked at once; the browser gets a session instead."""
    given = dict(fields(visit.request))
    to = _inside(given.get("to", ""))
    table = visit.state.table
    try:
        token = authenticate(table, f"Bearer {given.get('token', '').strip() or '-'}")
    except Unauthenticated as error:
        return visit.page("sign_in.html", 401, to=to, error=error.message)
    assert token is not None
    if visit.cookies.session:
        close_session(table, visit.cookies.session)
    visit.cookies.sign_in(open_session(table, token))
    return visit.redirect(to)


@page("POST", "/sign-out")
def sign_out(visit: Visit) -> PageAnswer:
    if visit.cookies.session:
        close_session(visit.state.table, visit.cookies.session)
        visit.cookies.sign_out()
    return visit.redirect("/")


def _inside(to: str) -> str:
    return to if _INSIDE.fullmatch(to) else "/"
