"""The first page: one's own repositories and those that are shared with one; for strangers, what this is."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from trainyard.intake.lists import Wanted, public_repositories, repositories_of_user
from trainyard.model.repository import FULL_NAME, Repository, RepositoryKind
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page

_MOST_SHOWN = 200
_PUBLIC_SHOWN = 50
_WITH_NEWEST_RUN = 20
"""Each costs one read."""


@page("GET", "/")
def show_home(visit: Visit) -> PageAnswer:
    if visit.user is None:
        return visit.page("welcome.html")
    cursor = visit.request.query.get("cursor")
    found = repositories_of_user(visit.state.table, visit.user, Wanted(), _MOST_SHOWN, cursor)
    projects = [one for one in found.rows if one.kind is RepositoryKind.PROJECT]
    newest = {
        one.full_name: next(iter(visit.state.table.runs_of(one.full_name, 1).rows), None)
        for one in projects[:_WITH_NEWEST_RUN]
    }

    def is_own(one: Repository) -> bool:
        return one.owner == visit.user

    return visit.page(
        "home.html",
        own=[one for one in projects if is_own(one)],
        shared=[one for one in projects if not is_own(one)],
        others=[one for one in found.rows if one.kind is not RepositoryKind.PROJECT],
        newest=newest,
        first=not cursor,
        cursor=found.cursor,
    )


@page("GET", "/public")
def show_public(visit: Visit) -> PageAnswer:
    """Whatever everybody may read, for whoever comes."""
    words, cursor = visit.request.query.get("q", "").strip()[:100], visit.request.query.get("cursor")
    found = public_repositories(visit.state.table, Wanted(words=words), _PUBLIC_SHOWN, cursor)
    following = urlencode({**({"q": words} if words else {}), "cursor": found.cursor or ""})
    more = f"/public?{following}" if found.cursor else None
    return visit.page("public.html", found=found.rows, words=words, first=not cursor, more=more)


@page("GET", "/open")
def open_by_name(visit: Visit) -> PageAnswer:
    """A project of somebody else is opened by its name; whether it is there tells its own page."""
    name = re.sub(r"\s", "", visit.request.query.get("project", ""))
    return visit.redirect(f"/projects/{name}" if FULL_NAME.fullmatch(name) else "/")
