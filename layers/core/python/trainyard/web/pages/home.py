"""The first page: one's own repositories with what their newest run did; for strangers, what this is."""

from __future__ import annotations

import re

from trainyard.model.repository import FULL_NAME, RepositoryKind
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page

_MOST_SHOWN = 200
_WITH_NEWEST_RUN = 20
"""Each costs one read."""


@page("GET", "/")
def show_home(visit: Visit) -> PageAnswer:
    if visit.user is None:
        return visit.page("welcome.html")
    found = visit.state.table.repositories_of(visit.user, _MOST_SHOWN, visit.request.query.get("cursor"))
    projects = [one for one in found.rows if one.kind is RepositoryKind.PROJECT]
    others = [one for one in found.rows if one.kind is not RepositoryKind.PROJECT]
    newest = {
        one.full_name: next(iter(visit.state.table.runs_of(one.full_name, 1).rows), None)
        for one in projects[:_WITH_NEWEST_RUN]
    }
    return visit.page("home.html", projects=projects, others=others, newest=newest, cursor=found.cursor)


@page("GET", "/open")
def open_by_name(visit: Visit) -> PageAnswer:
    """A project of somebody else is opened by its name; whether it is there tells its own page."""
    name = re.sub(r"\s", "", visit.request.query.get("project", ""))
    return visit.redirect(f"/projects/{name}" if FULL_NAME.fullmatch(name) else "/")
