"""What a repository stores that nothing needs any more, and its removal."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime
from typing import Any

from trainyard.cli.client import ApiError, Client
from trainyard.cli.terminal import (
    ago,
    client,
    command,
    language,
    print_json,
    print_pairs,
    print_table,
    wants_json,
    with_json,
)

_REPORT_SECONDS = 300
"""A large repository's branches are read for two minutes at most, on a machine that may have to be started first."""
_POLL_SECONDS = 1.0
_AT_ONCE = 1000
"""The API takes no more in one request."""


def add(subparsers: Any) -> None:
    words = "what a repository stores that nothing needs any more: show, inspect, remove"
    own = subparsers.add_parser("storage", help=words, description=words)
    own = own.add_subparsers(required=True, metavar="COMMAND")
    with_json(command(own, "show", _show, "the last report", "repository"))
    with_json(command(own, "inspect", _inspect, "look afresh, and show the report", "repository"))
    words = "remove what the last report shows; files an hour after it at the earliest"
    removed = with_json(command(own, "remove", _remove, words, "repository"))
    removed.add_argument("--file", action="append", default=[], metavar="KEY", help="a file that nothing refers to")
    removed.add_argument("--run", action="append", default=[], metavar="RUN", help="what a deleted run left")
    removed.add_argument("--upload", action="append", default=[], metavar="ID", help="an upload that nobody finished")
    removed.add_argument("--all", action="store_true", help="everything that the report shows")


def _show(options: argparse.Namespace) -> None:
    _print(options, _last_report(client(options), options.repository))


def _inspect(options: argparse.Namespace) -> None:
    api = client(options)
    asked = api.post(f"{_place(options.repository)}/inspect")
    _print(options, _report_after(api, options.repository, asked["asked_at"]))


def _remove(options: argparse.Namespace) -> None:
    api = client(options)
    report = _last_report(api, options.repository)
    wanted = {"report": report["at"], "keys": options.file, "runs": options.run, "uploads": options.upload}
    if options.all:
        wanted |= {name: found[:_AT_ONCE] for name, found in _shown(report).items()}
        if not any(_shown(report).values()):
            print("The report shows nothing that could go.", file=sys.stderr)
            return
    asked = api.post(f"{_place(options.repository)}/remove-unreferenced", wanted)
    _print(options, _report_after(api, options.repository, asked["asked_at"]))


def _shown(report: Any) -> dict[str, list[str]]:
    return {
        "keys": [one["key"] for one in report["unreferenced"]],
        "runs": [one["run"] for one in report["deleted_runs"]],
        "uploads": [one["upload"] for one in report["unfinished_uploads"]],
    }


def _place(repository: str) -> str:
    return f"/v1/repositories/{repository}/storage"


def _last_report(api: Client, repository: str) -> Any:
    report = api.get(_place(repository))["report"]
    if report is None:
        raise ApiError(0, "no_report", f"nobody has looked yet; `trainyard storage inspect {repository}` does")
    return report


def _report_after(api: Client, repository: str, asked_at: str) -> Any:
    deadline = time.monotonic() + _REPORT_SECONDS
    while time.monotonic() < deadline:
        report = api.get(_place(repository))["report"]
        if report is not None and _time(report["at"]) > _time(asked_at):
            return report
        time.sleep(_POLL_SECONDS)
    raise ApiError(0, "no_report", "the report is not there yet; `trainyard storage show` has it once it is")


def _print(options: argparse.Namespace, report: Any) -> None:
    if wants_json(options):
        print_json(report)
        return
    print_pairs(
        [
            ("looked at", ago(report["at"])),
            ("stored", f"{report['files']} files, {_size(report['bytes'])}"),
            ("removed", report["removed"] and f"{len(report['removed'])} files, {_size(report['removed_bytes'])}"),
            ("too young to say", report["recent"] or None),
            ("uploads under way", report["uploads_under_way"] or None),
        ]
    )
    if report["failed"]:
        print(report["reason"][language()], file=sys.stderr)
    rows = [
        *(("file", one["key"], _size(one["size"]), ago(one["modified"])) for one in report["unreferenced"]),
        *(("run", one["run"], _size(one["bytes"]), "deleted") for one in report["deleted_runs"]),
        *(("upload", one["upload"], _size(one["size"]), ago(one["touched"])) for one in report["unfinished_uploads"]),
    ]
    if rows:
        print_table(("UNNEEDED", "NAME", "SIZE", "LAST TOUCHED"), rows)
    if not report["complete"]:
        print("There is more than the report shows; look again when this is removed.", file=sys.stderr)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
