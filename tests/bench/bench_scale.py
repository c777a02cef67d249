"""Whether lists and runs cost the same with 10 runs in a project and with 100,000: time and DynamoDB's read units.

`make bench ONLY=scale`; `SCALE_RUNS=10000` for less. A page of ten rows is the same at both ends; what shows fifty, or
reads three hundred for a filter, has its full size from 1,000 runs on, which is why that is measured, too.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable
from urllib.parse import quote

from infra.local.inside import new_token, state_of
from infra.local.stack import Stack
from tests.bench.bench_pages import Browser, a_run, create_project, furnish, turn_the_streams_off, write_runs
from tests.bench.bill import read_units
from tests.bench.report import report
from trainyard.store import State

RUNS = int(os.environ.get("SCALE_RUNS", "100000"))
SIZES = (10, 1000, RUNS)
ROUNDS = 9
PROJECT = "ada/bench"

Measure = tuple[float, float]
"""Seconds, as a median, and read units of one request."""


def main() -> None:
    with Stack("bench-scale", keep=False) as stack:
        state = state_of(stack.addresses)
        create_project(state)
        turn_the_streams_off(stack)
        token = new_token(stack.addresses, "ada")
        found: dict[int, dict[str, Measure]] = {}
        there = 0
        for size in SIZES:
            print(f"{size} runs are written", file=sys.stderr, flush=True)
            write_runs(stack, state, there, size)
            there = size
            found[size] = measured(stack, state, token, size)
        for name in found[RUNS]:
            compare(name, {size: measures[name] for size, measures in found.items()})


def measured(stack: Stack, state: State, token: str, size: int) -> dict[str, Measure]:
    newest, late = furnish(state, size - 1), quote(cursor_near_the_end(state, size))
    browser, api = Browser(stack.addresses.api, token), asking(stack.addresses.api, token)
    of_api = {
        "list of 10": f"/v1/projects/{PROJECT}/runs?limit=10",
        "list of 50": f"/v1/projects/{PROJECT}/runs?limit=50",
        "list of 4, the last ones": f"/v1/projects/{PROJECT}/runs?limit=4&cursor={late}",
        "a run": f"/v1/runs/{newest}",
        "an owner's projects": "/v1/projects",
        "badge": f"/v1/projects/{PROJECT}/badge.svg",
    }
    of_pages = {
        "list": f"/projects/{PROJECT}",
        "list, the last ones": f"/projects/{PROJECT}?cursor={late}",
        "list, filter that all fit": f"/projects/{PROJECT}?state=succeeded",
        "list, filter that nothing fits": f"/projects/{PROJECT}?branch=nothing",
        "a run": f"/runs/{newest}",
        "the form": f"/projects/{PROJECT}/new",
        "first page": "/",
    }
    asked: dict[str, tuple[Callable[[str], bytes], str]] = {
        **{f"API: {name}": (api, path) for name, path in of_api.items()},
        **{f"page: {name}": (browser.get, path) for name, path in of_pages.items()},
    }
    return {name: measure(stack, get, path) for name, (get, path) in asked.items()}


def cursor_near_the_end(state: State, size: int) -> str:
    """Of the page that holds the four oldest runs."""
    behind = a_run(4).id
    page = state.table.runs_of(PROJECT, 1)
    if size <= 5 or page.cursor is None:
        raise ValueError(size)
    return rewritten(page.cursor, behind)


def rewritten(cursor: str, run_id: str) -> str:
    """The cursor behind another run: to walk there from the newest would read everything between."""
    from trainyard.store.table.cursors import read_cursor, write_cursor

    key = read_cursor(cursor, "project", PROJECT)
    return write_cursor({**key, "pk": {"S": f"RUN#{run_id}"}, "sort": {"S": run_id}})


def asking(root: str, token: str) -> Callable[[str], bytes]:
    def get(path: str) -> bytes:
        request = urllib.request.Request(root + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            content: bytes = answer.read()
        return content

    return get


def measure(stack: Stack, get: Callable[[str], bytes], path: str) -> Measure:
    get(path)
    stack.reset_calls()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        get(path)
        seconds.append(time.perf_counter() - began)
    reads = [call for call in stack.calls() if call["caller"] == "Api" and call["service"] == "dynamodb"]
    units = sum(read_units(call) for call in reads if call["operation"] in ("GetItem", "BatchGetItem", "Query"))
    return statistics.median(seconds), units / ROUNDS


def compare(name: str, by_size: dict[int, Measure]) -> None:
    for size, (seconds, units) in by_size.items():
        report(f"{name}, {size} runs: read units", units, "units")
        report(f"{name}, {size} runs: time", seconds, "s")
    report(f"{name}: read units, {SIZES[-1]} runs to 1,000", by_size[SIZES[-1]][1] / by_size[1000][1], "ratio")
    report(f"{name}: time, {SIZES[-1]} runs to 1,000", by_size[SIZES[-1]][0] / by_size[1000][0], "ratio")


if __name__ == "__main__":
    main()
