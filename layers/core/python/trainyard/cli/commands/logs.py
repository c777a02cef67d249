"""What a run said: its log, and searching logs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from trainyard.cli.client import Client
from trainyard.cli.terminal import client, command

_POLL_SECONDS = 1.0
_HITS_AT_ONCE = 200
_WHOLE: Mapping[str, int] = {}


def add(subparsers: Any) -> None:
    logs = command(subparsers, "logs", _logs, "what a run printed", "run")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    logs.add_argument("-n", "--tail", type=int, metavar="LINES", help="begin with the last so many lines")
    add_part(logs)
    search = command(subparsers, "search", _search, "search the log of a run, or of every run of a project")
    search.add_argument("place", metavar="RUN|OWNER/NAME")
    search.add_argument("text", nargs="?", default="", help="these characters, in any case")
    search.add_argument("-e", "--regex", help="an expression in RE2's syntax")
    search.add_argument("--level", choices=["error", "warning", "info"], help="this level or a worse one")
    search.add_argument("--since", metavar="TIME", help="such as 2026-01-31T12:00:00, as the log prints its times")
    search.add_argument("--until", metavar="TIME")
    search.add_argument("-m", "--max", type=int, default=1000, help="stop after so many lines (1000)")


def add_part(parser: argparse.ArgumentParser) -> None:
    """Which part of a run is meant, where it has some."""
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--child", type=int, metavar="N", help="of the training with this index of a sweep")
    parts.add_argument("--node", type=int, metavar="N", help="of the machine with this index of several")


def part_of(options: argparse.Namespace) -> dict[str, int]:
    """The same in the API's words."""
    return {name: getattr(options, name) for name in ("child", "node") if getattr(options, name) is not None}


def _logs(options: argparse.Namespace) -> None:
    api, offset, part = client(options), 0, part_of(options)
    if options.tail is not None:
        page = api.get(f"/v1/runs/{options.run}/log", tail=max(options.tail, 1), **part)
        _write(page["text"])
        offset = page["next_offset"]
        if page["end"]:
            return
    if options.follow:
        follow(api, options.run, offset, part)
    elif options.tail is None:
        _read_on(api, options.run, offset, part)


def follow(api: Client, run_id: str, offset: int = 0, part: Mapping[str, int] = _WHOLE) -> None:
    """Write the log from `offset` on as it comes, until nothing will follow."""
    while True:
        offset, end = _read_on(api, run_id, offset, part)
        if end or _never_began(api.get(f"/v1/runs/{run_id}")):
            return
        time.sleep(_POLL_SECONDS)


def _read_on(api: Client, run_id: str, offset: int, part: Mapping[str, int]) -> tuple[int, bool]:
    """Write what there is; where it ends, and whether for good."""
    while True:
        page = api.get(f"/v1/runs/{run_id}/log", offset=offset, **part)
        _write(page["text"])
        read_on = page["next_offset"] > offset
        offset = page["next_offset"]
        if page["end"] or not read_on:
            return offset, page["end"]


def _never_began(run: Any) -> bool:
    """It ended before any attempt: there is no log whose end could come."""
    return bool(run["final"]) and run["attempt"] == 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _search(options: argparse.Namespace) -> int:
    """Exit status as grep's: 1 where nothing was found."""
    in_project = "/" in options.place
    path = f"/v1/{'projects' if in_project else 'runs'}/{options.place}/search"
    asked = {name: getattr(options, name) or None for name in ("text", "regex", "level", "since", "until")}
    shown = 0
    for hit in client(options).pages(path, "hits", limit=_HITS_AT_ONCE, **asked):
        print(f"{hit['run']}:{hit['line']}: {hit['text']}" if in_project else f"{hit['line']}: {hit['text']}")
        shown += 1
        if shown >= options.max:
            break
    return 0 if shown else 1
