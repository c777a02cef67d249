"""What a run said: its log, and searching logs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from trainyard.cli.client import Client
from trainyard.cli.terminal import client, command, print_json, with_json_on_request

_POLL_SECONDS = 1.0
_HITS_AT_ONCE = 200


def add(subparsers: Any) -> None:
    logs = with_json_on_request(command(subparsers, "logs", _logs, "what a run printed", "run"))
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    logs.add_argument("-n", "--tail", type=int, metavar="LINES", help="begin with the last so many lines")
    add_part(logs)
    words = "search the log of a run, or of every run of a project"
    search = with_json_on_request(command(subparsers, "search", _search, words))
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


def _write_text(page: Any) -> None:
    sys.stdout.write(page["text"])
    sys.stdout.flush()


def _write_line(page: Any) -> None:
    """Each piece that comes is one line, so that a program reads along."""
    if page["text"]:
        print(json.dumps(page, ensure_ascii=False), flush=True)


@dataclass(frozen=True)
class Log:
    """The log of a run, or of a part of it, on its way to standard output."""

    api: Client
    run: str
    part: Mapping[str, int] = field(default_factory=dict)
    write: Callable[[Any], None] = _write_text

    def follow(self, offset: int = 0) -> None:
        """Write it from `offset` on as it comes, until nothing will follow."""
        while True:
            offset, end = self.read_on(offset)
            if end or _never_began(self.api.get(f"/v1/runs/{self.run}")):
                return
            time.sleep(_POLL_SECONDS)

    def read_on(self, offset: int) -> tuple[int, bool]:
        """Write what there is; where it ends, and whether for good."""
        while True:
            following, end = self.write_page(offset=offset)
            if end or following <= offset:
                return following, end
            offset = following

    def write_page(self, **place: int) -> tuple[int, bool]:
        """Where it ends, and whether that is the end for good."""
        page = self.api.get(f"/v1/runs/{self.run}/log", **place, **self.part)
        self.write(page)
        return page["next_offset"], page["end"]


def _logs(options: argparse.Namespace) -> None:
    log = Log(client(options), options.run, part_of(options), _write_line if options.json else _write_text)
    offset = 0
    if options.tail is not None:
        offset, end = log.write_page(tail=max(options.tail, 1))
        if end:
            return
    if options.follow:
        log.follow(offset)
    elif options.tail is None:
        log.read_on(offset)


def _never_began(run: Any) -> bool:
    """It ended before any attempt: there is no log whose end could come."""
    return bool(run["final"]) and run["attempt"] == 0


def _search(options: argparse.Namespace) -> int:
    """Exit status as grep's: 1 where nothing was found."""
    in_project = "/" in options.place
    path = f"/v1/{'projects' if in_project else 'runs'}/{options.place}/search"
    asked = {name: getattr(options, name) or None for name in ("text", "regex", "level", "since", "until")}
    hits, shown = islice(client(options).pages(path, "hits", limit=_HITS_AT_ONCE, **asked), options.max), 0
    if options.json:
        found = list(hits)
        print_json({"hits": found})
        return 0 if found else 1
    for hit in hits:
        print(f"{hit['run']}:{hit['line']}: {hit['text']}" if in_project else f"{hit['line']}: {hit['text']}")
        shown += 1
    return 0 if shown else 1
