"""Searching the logs of one run, and of all that a project has."""

from __future__ import annotations

from typing import cast

from trainyard.intake.permissions import readable_repository
from trainyard.logs.search import Level, Query, RunPage, Runs, one_run, search
from trainyard.model.errors import InvalidInput
from trainyard.model.text import Text
from trainyard.web.messages import Answer
from trainyard.web.result_views import SearchResult
from trainyard.web.routes.routing import CURSOR, Call, Parameter, route

_MOST_HITS = 1000
_RUNS_PER_PAGE = 50
_LEVELS = ("error", "warning", "info")
_LONGEST = 500
_SEARCH = (
    Parameter("text", "These characters, in any case."),
    Parameter("regex", "An expression in RE2's syntax."),
    Parameter("level", "`error`, `warning` or `info`: this level or a worse one."),
    Parameter("since", "Such as 2026-01-31T12:00:00, as the log prints its times."),
    Parameter("until", "Likewise; a day includes all of it."),
    Parameter("limit", f"Lines in the answer; 100 if left out, {_MOST_HITS} at most.", "integer"),
    CURSOR,
)


@route("GET", "/v1/runs/{run}/search", gives=SearchResult, query=_SEARCH)
def search_run(call: Call) -> Answer:
    """Lines of the run's log that meet all that is asked for.

    An answer may hold no line and a cursor: so far was looked, and the next call goes on from there.
    """
    return _found(call, one_run(call.run().id))


@route("GET", "/v1/projects/{owner}/{name}/search", gives=SearchResult, query=_SEARCH)
def search_project(call: Call) -> Answer:
    """The same in every run of the project, newest first, page after page."""
    project = readable_repository(call.state.table, call.repository, call.token).full_name

    def runs(cursor: str | None) -> RunPage:
        page = call.state.table.runs_of(project, _RUNS_PER_PAGE, cursor)
        return RunPage([run.id for run in page.rows], page.cursor)

    return _found(call, runs)


def _found(call: Call, runs: Runs) -> Answer:
    limit = max(call.request.number("limit", 100, _MOST_HITS), 1)
    found = search(call.state.objects, runs, _query(call.request.query), call.request.query.get("cursor"), limit)
    hits = [{"run": hit.run_id, "line": hit.line, "offset": hit.offset, "text": hit.text} for hit in found.hits]
    return Answer(200, {"hits": hits, "next_cursor": found.cursor})


def _query(asked: dict[str, str]) -> Query:
    level = asked.get("level") or None
    if level is not None and level not in _LEVELS:
        raise InvalidInput(
            Text(en="level is one of error, warning and info.", zh="level 只能是 error、warning 或 info。"),
            details={"field": "level"},
        )
    if len(asked.get("text", "")) > _LONGEST:
        raise InvalidInput(
            Text(en=f"text is longer than {_LONGEST} characters.", zh=f"text 超过 {_LONGEST} 个字符。"),
            details={"field": "text"},
        )
    return Query(
        text=asked.get("text", ""),
        regex=asked.get("regex", ""),
        level=cast("Level | None", level),
        since=asked.get("since", ""),
        until=asked.get("until", ""),
    )
