"""Searching logs: within a run and over many, in bounded pieces of work that the next call goes on from."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from trainyard.logs.live import LARGEST_PAGE, load_index, read_bytes
from trainyard.logs.terminal import readable
from trainyard.model.errors import InvalidInput
from trainyard.model.text import Text
from trainyard.store.objects import Objects

BYTES_PER_CALL = 64 << 20
"""Uncompressed log that one call looks through before it answers with a cursor."""
_BYTES_PER_RUN = 1 << 20
_LONGEST_PATTERN = 500
_LINE_SHOWN = 1000
# re2 needs memory in proportion to the automaton, and says so instead of taking more.
_AUTOMATON_BYTES = 8 << 20

Level = Literal["error", "warning", "info"]
_LEVELS: dict[Level, str] = {
    "error": r"\b(?:ERROR|CRITICAL|FATAL|Traceback)\b|\w(?:Error|Exception)\b",
    "warning": r"\b(?:ERROR|CRITICAL|FATAL|Traceback|WARNING|WARN)\b|\w(?:Error|Exception|Warning)\b",
    "info": r"\b(?:ERROR|CRITICAL|FATAL|Traceback|WARNING|WARN|INFO)\b|\w(?:Error|Exception|Warning)\b",
}
_TIME = re.compile(rb"\b(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)")


@dataclass(frozen=True)
class Query:
    """What to look for; a line must meet all that is given."""

    text: str = ""
    """These characters, in any case."""
    regex: str = ""
    """An expression in RE2's syntax, which takes linear time whatever it is."""
    level: Level | None = None
    """This level or a worse one."""
    since: str = ""
    """`2026-01-31T12:00:00`, as the log prints its times; a line without one has that of the line before it."""
    until: str = ""


class Hit(NamedTuple):
    run_id: str
    line: int
    """From 1."""
    offset: int
    """Of the line's first byte in the uncompressed log."""
    text: str
    """The line as a terminal would show it, cut at 1,000 characters."""


@dataclass(frozen=True)
class Found:
    hits: list[Hit]
    cursor: str | None
    """Give it to the next call to go on. None: everything was looked through."""


class RunPage(NamedTuple):
    """A page of a list of runs."""

    run_ids: Sequence[str]
    cursor: str | None
    """Of the next page."""


Runs = Callable[[str | None], RunPage]
"""The runs to search, page by page from a cursor on; None is the first one."""


def one_run(run_id: str) -> Runs:
    return lambda _: RunPage([run_id], None)


class _Position(NamedTuple):
    page: str | None = None
    run: str | None = None
    """None: the page's first."""
    offset: int = 0
    line: int = 1
    time: str = ""


def search(
    objects: Objects,
    runs: Runs,
    query: Query,
    cursor: str | None = None,
    limit: int = 100,
    budget: int = BYTES_PER_CALL,
) -> Found:
    """The lines that match, run by run in the list's order, at most `limit` of them and after at most `budget` bytes.

    Works on logs that still grow, too: what was printed after the call is for the next one. Where the list gets new
    runs at its beginning between two calls, those are not part of this search; one that is gone is passed over.

    Raises:
        InvalidInput: the expression, a time or the cursor cannot be understood.
    """
    find, holds = _finder(query), _checks(query)
    position: _Position | None = _parse_cursor(cursor)
    hits: list[Hit] = []
    while position is not None:
        page = runs(position.page)
        for run_id in _from(page.run_ids, position.run):
            if run_id != position.run:
                position = _Position(position.page, run_id)
            index = load_index(objects, run_id)
            # What a short log costs is the looking, not the bytes.
            budget -= _BYTES_PER_RUN
            while True:
                if budget <= 0 or len(hits) >= limit:
                    return Found(hits, _cursor(position))
                lines = _whole_lines(read_bytes(objects, run_id, position.offset, LARGEST_PAGE, index))
                if not lines:
                    break
                budget -= len(lines)
                position = _search_block(run_id, lines, position, query, find, holds, hits, limit)
        position = _Position(page.cursor) if page.cursor is not None else None
    return Found(hits, None)


def _from(run_ids: Sequence[str], run: str | None) -> Sequence[str]:
    """The list from `run` on. Ids fall with the list, so where that run is gone its place is known all the same."""
    if run is None:
        return run_ids
    return run_ids[run_ids.index(run) :] if run in run_ids else [other for other in run_ids if other < run]


def _search_block(
    run_id: str,
    lines: bytes,
    position: _Position,
    query: Query,
    find: _Finder,
    holds: list[re.Pattern[bytes]],
    hits: list[Hit],
    limit: int,
) -> _Position:
    """Append what matches; gives where to go on: behind the block, or behind the last hit if there are enough."""
    place, counted, number, time = 0, 0, position.line, position.time
    timed = bool(query.since or query.until)
    while len(hits) < limit and place < len(lines):
        found = place if timed else find(lines, place)
        if found < 0:
            break
        start = lines.rfind(b"\n", place, found) + 1 or place
        end = lines.find(b"\n", found) + 1 or len(lines)
        number += lines.count(b"\n", counted, start)
        line, counted, place = lines[start:end], start, end
        if timed:
            time = _time_of(line) or time
            if not _in_time(time, query) or find(line, 0) < 0:
                continue
        if all(pattern.search(line) for pattern in holds):
            hits.append(Hit(run_id, number, position.offset + start, readable(line.rstrip(b"\r\n"))[:_LINE_SHOWN]))
    else:
        if place < len(lines):
            number += lines.count(b"\n", counted, place)
            return position._replace(offset=position.offset + place, line=number, time=time)
    return position._replace(offset=position.offset + len(lines), line=number + lines.count(b"\n", counted), time=time)


_Finder = Callable[[bytes, int], int]
"""Where, from a place on, the next line that may match is; -1: none."""


def _finder(query: Query) -> _Finder:
    """The fastest part of the query leads; `_checks` looks at the others."""
    if query.regex:
        return _regex_finder(query.regex)
    if query.text:
        text = re.compile(re.escape(query.text.encode()), re.IGNORECASE)
        return lambda lines, place: _start(text.search(lines, place))
    if query.level:
        level = re.compile(_LEVELS[query.level].encode())
        return lambda lines, place: _start(level.search(lines, place))
    return lambda _, place: place


def _checks(query: Query) -> list[re.Pattern[bytes]]:
    """What a line must hold beside that by which it was found."""
    for time in (query.since, query.until):
        if time and not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?", time):
            raise InvalidInput(
                Text(
                    en=f"{time[:40]!r} is no time; write it like 2026-01-31T12:00:00.",
                    zh=f"{time[:40]!r} 不是有效的时间，请写成 2026-01-31T12:00:00。",
                )
            )
    patterns = []
    if query.text and query.regex:
        patterns.append(re.compile(re.escape(query.text.encode()), re.IGNORECASE))
    if query.level and (query.text or query.regex):
        patterns.append(re.compile(_LEVELS[query.level].encode()))
    return patterns


def _regex_finder(expression: str) -> _Finder:
    """RE2 never backtracks: the user's expression cannot hang the function, whatever the log holds."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.max_mem, options.log_errors = _AUTOMATON_BYTES, False
    if len(expression) > _LONGEST_PATTERN:
        raise _unusable(f"> {_LONGEST_PATTERN}")
    try:
        pattern = re2.compile(b"(?m)" + expression.encode(), options)
    except re2.error as error:
        raise _unusable(error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)) from error
    return lambda lines, place: _start(pattern.search(lines, place))


def _unusable(why: str) -> InvalidInput:
    return InvalidInput(
        Text(
            en=f"The expression cannot be used ({why}). Write it in RE2's syntax: no look-around, no references.",
            zh=f"无法使用该正则表达式（{why}）。请使用 RE2 语法：不支持环视和反向引用。",
        )
    )


def _start(match: Any) -> int:
    return int(match.start()) if match else -1


def _time_of(line: bytes) -> str:
    match = _TIME.search(line)
    return f"{match[1].decode()}T{match[2].decode()}" if match else ""


def _in_time(time: str, query: Query) -> bool:
    """Times compare as text; `2026-01-31` as `until` includes that day."""
    since, until = query.since.replace(" ", "T"), query.until.replace(" ", "T")
    return bool(time) and time >= since and (not until or time[: len(until)] <= until)


def _whole_lines(data: bytes) -> bytes:
    """Up to the last line break; all, where there is none: a last line, or one longer than can be looked at at once."""
    return data[: data.rfind(b"\n") + 1] or data


def _cursor(position: _Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _parse_cursor(cursor: str | None) -> _Position:
    if not cursor:
        return _Position()
    with suppress(ValueError, TypeError):
        page, run, offset, line, time = json.loads(base64.urlsafe_b64decode(cursor))
        numbers = all(type(number) is int for number in (offset, line))
        if numbers and isinstance(page, str | None) and isinstance(run, str | None) and isinstance(time, str):
            return _Position(page, run, max(offset, 0), max(line, 1), time)
    raise InvalidInput(
        Text(
            en="The cursor is not one of this search; leave it out to begin anew.",
            zh="游标不属于本次搜索；请去掉游标重新开始。",
        )
    )
