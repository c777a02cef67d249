"""A run's log, page by page, and searched."""

from __future__ import annotations

from trainyard.logs.live import read_lines
from trainyard.logs.search import Found, Level, Query, one_run, search
from trainyard.model.errors import InvalidInput
from trainyard.model.text import Text
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page
from trainyard.web.pages.runs import branch_of
from trainyard.web.parts import part_of

LINES_SHOWN = 1000
_LONGEST_LINE = 4000
_HITS_SHOWN = 200
LEVELS: dict[str, Level] = {"error": "error", "warning": "warning", "info": "info"}


@page("GET", "/runs/{run}/log")
def show_log(visit: Visit) -> PageAnswer:
    run, request = visit.run(), visit.request
    part = part_of(request, run)
    line = max(request.number("line", 1, 10**12), 1)
    # A line that somebody points to stands a little below the top.
    first = max(line - 5, 1) if "line" in request.query and "from" not in request.query else line
    query, error = _query(visit), None
    found: Found | None = None
    if query is not None:
        try:
            found = search(visit.state.objects, one_run(part.place), query, request.query.get("cursor"), _HITS_SHOWN)
        except InvalidInput as refused:
            error = refused.message
    shown = read_lines(visit.state.objects, part.place, first, LINES_SHOWN) if found is None else None
    lines = [text[:_LONGEST_LINE] for text in shown.text.removesuffix("\n").split("\n")] if shown and shown.text else []
    return visit.page(
        "log.html",
        run=run,
        part=part,
        branch=branch_of(run),
        first=first,
        target=line if first != line else None,
        lines=lines,
        following=first + len(lines) if shown and len(lines) == LINES_SHOWN else None,
        before=max(first - LINES_SHOWN, 1) if first > 1 else None,
        q=request.query.get("q", ""),
        kind=request.query.get("kind", "text"),
        level=request.query.get("level", ""),
        found=found,
        error=error,
    )


def _query(visit: Visit) -> Query | None:
    """What is looked for; None: nothing, the log itself is shown."""
    text, level = visit.request.query.get("q", "")[:500], _level(visit.request.query.get("level", ""))
    if not text and level is None:
        return None
    if visit.request.query.get("kind") == "regex":
        return Query(regex=text, level=level)
    return Query(text=text, level=level)


def _level(given: str) -> Level | None:
    if given == "":
        return None
    if given in LEVELS:
        return LEVELS[given]
    raise InvalidInput(Text(en="Choose error, warning or info.", zh="请选择 error、warning 或 info。"))
