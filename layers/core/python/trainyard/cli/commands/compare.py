"""What runs are worth: compare, leaderboard, report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from trainyard.cli.terminal import client, command, print_json, print_table, wants_json, with_json


def add(subparsers: Any) -> None:
    compare = with_json(command(subparsers, "compare", _compare, "a run beside others", "run"))
    compare.add_argument(
        "others", nargs="*", metavar="RUN|previous|best", help="the previous one on its branch if left out"
    )
    compare.add_argument("--metric", help="the one by which `best` is best")
    board = with_json(command(subparsers, "leaderboard", _leaderboard, "the best runs of a project", "project"))
    board.add_argument("--metric", default="accuracy")
    board.add_argument("--dataset", metavar="OWNER/NAME", help="only runs on this data set")
    board.add_argument("--revision", help="only runs on this commit of it")
    report = command(subparsers, "report", _report, "the evaluation of a run, as Markdown, HTML or JSON", "run")
    report.add_argument("--format", choices=["md", "html", "json"], default="md")
    report.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    report.add_argument("-o", "--output", type=Path, help="write it to this file")


def _compare(options: argparse.Namespace) -> None:
    others = ",".join(options.others) or "previous"
    compared = client(options).get(f"/v1/runs/{options.run}/comparison", **{"with": others, "metric": options.metric})
    if wants_json(options):
        print_json(compared)
    else:
        print_comparison(compared)


def print_comparison(compared: Any) -> None:
    """What differs, and every metric with its difference to the first run."""
    rows = [["commit", *((commit or "")[:12] for commit in compared["commits"])]]
    for part in ("parameters", "inputs", "environment"):
        rows += [[row["name"], *map(_shown, row["values"])] for row in compared[part] if row["differs"]]
    for row in compared["best"]:
        rows.append([row["name"], *map(_figure, row["values"], row["differences"], row["better"])])
    print_table(["", *compared["runs"]], rows)
    for code in compared["code"]:
        if code["address"]:
            print(f"code since {code['run']}: {code['address']}")


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


def _figure(value: Any, difference: Any, better: bool | None) -> str:
    if value is None:
        return "-"
    if not isinstance(difference, float) or difference == 0:
        return f"{float(value):.6g}"
    mark = "" if better is None else " better" if better else " worse"
    return f"{float(value):.6g} ({difference:+.3g}{mark})"


def _leaderboard(options: argparse.Namespace) -> None:
    board = client(options).get(
        f"/v1/projects/{options.project}/leaderboard",
        metric=options.metric,
        dataset=options.dataset,
        revision=options.revision,
    )
    if wants_json(options):
        print_json(board)
        return
    rows = [
        [str(p["rank"]), p["run_id"], p["metric"], f"{p['value']:.6g}", (p["commit"] or "")[:12]]
        for p in board["places"]
    ]
    print_table(["", "run", "metric", "best", "commit"], rows)


def _report(options: argparse.Namespace) -> None:
    text = client(options).text(f"/v1/runs/{options.run}/report.{options.format}")
    if options.output:
        options.output.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)
