"""The way of a run on the embedded stack: how long each part takes, what a run calls and costs, what the stack needs."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from prices import AS_OF, PRICES

from infra.local.demo.user import User
from infra.local.emulator.client import client
from infra.local.inside import new_token, state_of
from infra.local.stack import Stack
from tests.bench.bill import Invocation, billed, invocations
from tests.bench.report import report
from trainyard.store import layout

Found = TypeVar("Found")
ROUNDS = 6
WAIT_SECONDS = 120.0
QUIET_SECONDS = 3.0
SCRIPT = "import sys\nprint('first line', flush=True)\n"
RUN_FILE = """runs:
  first:
    boot_file: train.py
    framework: python-cpu
    flavor: cpu-small
    output: false
    timeout: 5m
"""


def main() -> None:
    with Stack("bench", keep=False) as stack, tempfile.TemporaryDirectory() as folder:
        for name, seconds in stack.warm(at_once=1).items():
            report(f"cold start {name}", seconds, "s")
        for name, seconds in stack.warm(at_once=1).items():
            report(f"warm call {name}", seconds, "s")
        report_memory(stack)
        user = User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, Path(folder))
        made = user.api.post("/v1/repositories", {"name": "ada/bench", "kind": "project"})
        tree = user.clone(made["repository"]["clone_url"])
        (tree / "trainyard.yaml").write_text(RUN_FILE)
        (tree / "pip-requirements.txt").write_text("")
        rounds = [one_push(stack, user, tree, number) for number in range(ROUNDS)]
        for name in rounds[0]:
            # The first round makes environments and warms whatever is still cold.
            report(name, statistics.median(each[name] for each in rounds[1:]), "s")
        report_calls(stack, user, tree)


def one_push(stack: Stack, user: User, tree: Path, number: int) -> dict[str, float]:
    """Push once and measure by the times that were written down: the push's beginning to each step."""
    (tree / "train.py").write_text(f"{SCRIPT}# {number}\n")
    stack.reset_calls()
    began = datetime.now(UTC)
    commit, _ = user.push(tree, f"round {number}")
    pushed = (datetime.now(UTC) - began).total_seconds()
    run, line_at = first_line(user, commit)
    run = judged(user, run)
    at = {step["state"]: datetime.fromisoformat(step["at"]) for step in run["timeline"]}
    result = json.loads(state_of(stack.addresses).objects.get(layout.result_key(run["id"], 1)))
    stages = {stage["name"]: stage for stage in result["stages"]}
    script = datetime.fromisoformat(stages["script"]["started_at"])
    job = job_of(stack, run)
    called = invocations(stack, began.timestamp())
    functions = before_the_job(called, job["createdAt"] / 1000)
    runner = script.timestamp() - job["startedAt"] / 1000
    return {
        "git push itself": pushed,
        "push to queued": (at["queued"] - began).total_seconds(),
        "push to the script's start": (script - began).total_seconds(),
        "push to the script's start, of which functions": functions,
        "push to the script's start, of which the runner": runner,
        "push to the script's start, of which work of ours": functions + runner,
        "push to the first line readable by the API": (line_at - began).total_seconds(),
        "submitted to started by the Batch server": (job["startedAt"] - job["createdAt"]) / 1000,
        "code staged by the runner": stages["code"]["seconds"],
        "environment from the cache": stages["environment"]["seconds"],
        "end of the job to verdict": (datetime.fromisoformat(run["updated_at"]) - at["succeeded"]).total_seconds(),
        **hops(called, stack.calls()),
    }


def before_the_job(called: list[Invocation], submitted: float) -> float:
    """Seconds that functions on the way worked until the job was submitted; two changes are published there."""
    on_the_way = {"ReceivePush": 1, "PublishChanges": 2, "ValidateRepo": 1, "EnqueueJob": 1}
    seconds = 0.0
    for each in called:
        if on_the_way.get(each.function, 0) and each.began < submitted:
            on_the_way[each.function] -= 1
            seconds += min(each.ended, submitted) - each.began
    return seconds


def hops(called: list[Invocation], calls: list[dict[str, Any]]) -> dict[str, float]:
    """The emulator's own time, as a median: from a write to the function that publishes it, from there to a consumer.

    AWS has hops of its own in these places, of another length.
    """
    written = [done(call) for call in calls if call["operation"] in ("PutItem", "TransactWriteItems")]
    spoken = [done(call) for call in calls if call["operation"] == "PutEvents"]
    publishing = [each.began for each in called if each.function == "PublishChanges"]
    consumers = ("ValidateRepo", "EnqueueJob", "IndexLogs", "EvaluateRun", "ReportStatus")
    consuming = [each.began for each in called if each.function in consumers]
    return {
        "hop of the emulator: table to publish_changes": median_gap(written, publishing),
        "hop of the emulator: bus through queue to function": median_gap(spoken, consuming),
    }


def done(call: dict[str, Any]) -> float:
    return float(call["at"] + call["seconds"])


def median_gap(causes: Iterable[float], effects: Iterable[float]) -> float:
    """Each effect is of the newest cause before it."""
    known = list(causes)
    gaps = [effect - max(before) for effect in effects if (before := [cause for cause in known if cause <= effect])]
    return statistics.median(gaps) if gaps else 0.0


def job_of(stack: Stack, run: Any) -> dict[str, Any]:
    """The run's job as DescribeJobs has it; times in milliseconds of the epoch."""
    (job,) = client(stack.addresses.batch, "batch").describe_jobs(jobs=[run["job"]["id"]])["jobs"]
    return dict(job)


def first_line(user: User, commit: str) -> tuple[Any, datetime]:
    def look() -> tuple[Any, datetime] | None:
        for run in user.api.get("/v1/projects/ada/bench/runs")["runs"]:
            if run["commit"] == commit and "first line" in user.api.get(f"/v1/runs/{run['id']}/log")["text"]:
                return run, datetime.now(UTC)
        return None

    return until(look, 0.02)


def judged(user: User, run: Any) -> Any:
    def look() -> Any:
        now = user.api.get(f"/v1/runs/{run['id']}")
        return now if now["evaluation"].get("verdict") else None

    return until(look, 0.05)


def until(look: Callable[[], Found | None], pause: float) -> Found:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(pause)
    raise TimeoutError(look.__qualname__)


def report_calls(stack: Stack, user: User, tree: Path) -> None:
    """What one run calls and what that would cost, without what watching it takes: nobody looks meanwhile."""
    stack.reset_calls()
    began = time.time()
    (tree / "train.py").write_text(SCRIPT)
    user.push(tree, "counted")
    calls = until(lambda: all_calls(stack), 0.5)
    counted = Counter(f"{call['service']} {call['operation']}" for call in calls)
    for name, count in sorted(counted.items()):
        report(f"calls per run: {name}", count, "calls")
    by_caller = Counter(call["caller"] for call in calls)
    for name, count in sorted(by_caller.items()):
        report(f"calls per run by {name}", count, "calls")
    report("calls per run", len(calls), "calls")
    units = billed(stack, calls, began)
    for name, price in PRICES.items():
        if units.get(name):
            report(f"billed units per run: {name}", units[name], price.unit)
            report(f"cost per 1,000 runs: {name}", 1000 * units[name] * price.usd, "USD")
    total = sum(1000 * amount * PRICES[name].usd for name, amount in units.items())
    report(f"cost per 1,000 runs, list prices as of {AS_OF}", total, "USD")


def all_calls(stack: Stack) -> list[dict[str, Any]] | None:
    """All calls of the run, once it was evaluated and everything is quiet."""
    calls = stack.calls()
    evaluated = any(call["caller"] == "EvaluateRun" for call in calls)
    return calls if evaluated and time.time() - done(calls[-1]) > QUIET_SECONDS else None


def report_memory(stack: Stack) -> None:
    record = json.loads((stack.folder / "stack.json").read_text())
    total = 0.0
    for name, process in record["processes"].items():
        mib = resident(process["pid"])
        report(f"idle memory {name}", mib, "MiB")
        total += mib
    workers = sum(resident(pid) for pid in children(record["processes"]["emulator"]["pid"]))
    report("idle memory of the functions' processes", workers, "MiB")
    report("idle memory", total + workers, "MiB")


def children(pid: int) -> list[int]:
    listings = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listing in listings for child in listing.read_text().split()]


def resident(pid: int) -> float:
    """MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
