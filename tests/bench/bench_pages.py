"""How fast pages are on the embedded stack with 10,000 runs in the project, and how many rows and bytes each reads.

    python -m tests.bench.bench_pages [runs]

Prints one JSON object for each figure. Each page is asked for several times; the median counts.
"""

from __future__ import annotations

import gzip
import http.cookiejar
import json
import re
import statistics
import sys
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.emulator.client import client
from infra.local.inside import new_token, state_of
from infra.local.stack import Stack
from trainyard.model.ids import new_run_id
from trainyard.model.metric import MetricGroup, Metrics, Point
from trainyard.model.repository import Repository, RepositoryKind
from trainyard.model.run import EvaluationFacet, FacetState, LogsFacet, Origin, Run, RunState, Transition
from trainyard.model.spec import RunSpec
from trainyard.store import State, layout
from trainyard.store.table.runs import run_item

RUNS = 10_000
ROUNDS = 7
_BATCH = 25
"""Rows that DynamoDB takes in one call."""
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with Stack("bench-pages", keep=False) as stack:
        state = state_of(stack.addresses)
        last = fill(stack, state, count)
        report("pages: runs in the project", count, "runs")
        browser = Browser(stack.addresses.api, new_token(stack.addresses, "ada"))
        paths = {
            "list of runs": "/projects/ada/bench",
            "filtered list, found at once": "/projects/ada/bench?state=succeeded",
            "filtered list, found nowhere": "/projects/ada/bench?branch=nothing",
            "a run": f"/runs/{last}",
            "the form": "/projects/ada/bench/new",
            "first page": "/",
        }
        for name, path in paths.items():
            measure(stack, browser, name, path)
        report_weight(browser, f"/runs/{last}")


def fill(stack: Stack, state: State, count: int) -> str:
    """A project with that many finished runs; the newest one's id, which left metrics and a log."""
    create_project(state)
    turn_the_streams_off(stack)
    write_runs(stack, state, 0, count)
    return furnish(state, count - 1)


def create_project(state: State) -> None:
    state.table.create_repository(
        Repository(
            full_name="ada/bench",
            kind=RepositoryKind.PROJECT,
            host="github",
            clone_url="https://git.example/ada/bench.git",
            owner="ada",
            created_at=_BEGAN,
        )
    )


def write_runs(stack: Stack, state: State, first: int, behind: int) -> None:
    """Rows of the runs with these numbers, as the store itself would write them."""
    dynamodb = client(stack.addresses.endpoint, "dynamodb")

    def write(start: int) -> None:
        numbers = range(start, min(start + _BATCH, behind))
        puts: Any = [{"PutRequest": {"Item": run_item(a_run(number))}} for number in numbers]
        assert not dynamodb.batch_write_item(RequestItems={state.table.name: puts})["UnprocessedItems"]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(first, behind, _BATCH)))


def furnish(state: State, number: int) -> str:
    """Give that run metrics and a log; its id."""
    run = a_run(number).id
    points = [Point(step, step / 100, 1 / step) for step in range(1, 2000)]
    state.objects.put(layout.metrics_key(run), Metrics([MetricGroup({}, {"loss": points})]).to_json())
    state.objects.put(layout.log_chunk_key(run, 1, 0), gzip.compress(b"epoch: 1 step: 1, loss is 0.5\n" * 5000))
    return run


def turn_the_streams_off(stack: Stack) -> None:
    """Ten thousand rows that appear at once would have each run judged, for an hour, beside the pages."""
    functions = client(stack.addresses.endpoint, "lambda")
    for reader in ("PublishChanges", "KeepJournal"):
        name = stack.addresses.functions[reader]
        for mapping in functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def a_run(number: int) -> Run:
    at = _BEGAN + timedelta(minutes=number)
    steps = (RunState.REQUESTED, RunState.ADMITTED, RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED)
    return Run(
        id=new_run_id(at, str(number)),
        name=f"lenet5-{number % 7}",
        project="ada/bench",
        origin=Origin.PUSH,
        requested_by=f"user-{number % 5}",
        commit=f"{number:040x}",
        ref="refs/heads/main",
        spec=RunSpec(boot_file="train.py", framework="python-cpu", flavor="cpu", hyperparameters={"epochs": 10}),
        state=RunState.SUCCEEDED,
        attempt=1,
        timeline=[Transition(state=state, attempt=1, at=at + timedelta(seconds=n)) for n, state in enumerate(steps)],
        logs=LogsFacet(state=FacetState.DONE, lines=5000, bytes=150_000),
        evaluation=EvaluationFacet(
            state=FacetState.DONE,
            verdict="passed",
            best={"loss": 0.1, "accuracy": 0.98},
            last={"loss": 0.1, "accuracy": 0.98},
            key_metric="accuracy",
            curve=[round(1 - 1 / (n + 1), 4) for n in range(24)],
        ),
        created_at=at,
        updated_at=at,
    )


class Browser:
    """Signed in, and as willing to take compressed answers as a browser is."""

    def __init__(self, root: str, token: str) -> None:
        self._root = root
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        csrf = re.search(rb'name="csrf" value="([0-9a-f]+)"', gzip.decompress(self.get("/sign-in")))
        assert csrf
        form = urllib.parse.urlencode({"csrf": csrf[1].decode(), "token": token, "to": "/"}).encode()
        self.get("/sign-in", form)

    def get(self, path: str, form: bytes | None = None) -> bytes:
        """The answer's bytes as they came over the wire."""
        request = urllib.request.Request(f"{self._root}{path}", form, {"accept-encoding": "gzip"})
        with self._opener.open(request, timeout=60) as answer:
            content: bytes = answer.read()
        return content


def measure(stack: Stack, browser: Browser, name: str, path: str) -> None:
    browser.get(path)
    stack.reset_calls()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        browser.get(path)
        seconds.append(time.perf_counter() - began)
    report(f"pages: {name}", statistics.median(seconds), "s")
    # Other functions are still busy with the rows that were written; only the pages' own calls count.
    own = [call["service"] for call in stack.calls() if call["caller"] == "Api"]
    for service in ("dynamodb", "s3"):
        report(f"pages: {name}: calls to {service}", own.count(service) / ROUNDS, "calls")


def report_weight(browser: Browser, path: str) -> None:
    """Everything that a first view of a run loads, as it comes over the wire."""
    page = browser.get(path)
    files = re.findall(rb'(?:src|href)="(/static/[^"]+)"', gzip.decompress(page))
    total = len(page) + sum(len(browser.get(file.decode())) for file in files)
    report("pages: first view of a run, compressed", total / 1000, "kB")


def report(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}), flush=True)


if __name__ == "__main__":
    main()
