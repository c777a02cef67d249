"""`make bench`: measures on the embedded stack, one JSON line each. Nothing here passes or fails."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.local.demo.user import User
from infra.local.inside import new_token, state_of
from infra.local.stack import Stack
from trainyard.store import layout

ROUNDS = 5
WAIT_SECONDS = 120.0
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
        for name, seconds in stack.warm().items():
            report(f"cold start {name}", seconds, "s")
        for name, seconds in stack.warm().items():
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
    began = datetime.now(UTC)
    commit, _ = user.push(tree, f"round {number}")
    pushed = (datetime.now(UTC) - began).total_seconds()
    run, line_at = first_line(user, commit)
    run = judged(user, run)
    at = {step["state"]: datetime.fromisoformat(step["at"]) for step in run["timeline"]}
    result = json.loads(state_of(stack.addresses).objects.get(layout.result_key(run["id"], 1)))
    stages = {stage["name"]: stage for stage in result["stages"]}
    script = datetime.fromisoformat(stages["script"]["started_at"])
    return {
        "git push itself": pushed,
        "push to queued": (at["queued"] - began).total_seconds(),
        "push to the script's start": (script - began).total_seconds(),
        "push to the first line readable by the API": (line_at - began).total_seconds(),
        "environment from the cache": stages["environment"]["seconds"],
        "end of the job to verdict": (datetime.fromisoformat(run["updated_at"]) - at["succeeded"]).total_seconds(),
    }


def first_line(user: User, commit: str) -> tuple[Any, datetime]:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for run in user.api.get("/v1/projects/ada/bench/runs")["runs"]:
            if run["commit"] == commit and "first line" in user.api.get(f"/v1/runs/{run['id']}/log")["text"]:
                return run, datetime.now(UTC)
        time.sleep(0.02)
    raise TimeoutError(commit)


def judged(user: User, run: Any) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        run = user.api.get(f"/v1/runs/{run['id']}")
        if run["evaluation"].get("verdict"):
            return run
        time.sleep(0.05)
    raise TimeoutError(run["id"])


def report_calls(stack: Stack, user: User, tree: Path) -> None:
    """AWS calls of one run by service and operation, without those that watching it makes."""
    stack.reset_calls()
    (tree / "train.py").write_text(SCRIPT)
    user.push(tree, "counted")
    # Nobody looks meanwhile: every call is the run's own.
    time.sleep(15)
    counted: Counter[str] = Counter()
    for call in stack.calls():
        counted[f"{call['service']} {call['operation']}"] += call["count"]
    for name, count in sorted(counted.items()):
        report(f"calls per run: {name}", count, "calls")
    by_service: Counter[str] = Counter()
    for name, count in counted.items():
        by_service[name.split()[0]] += count
    for service, count in sorted(by_service.items()):
        # Rows are under 1 KB or a little over it and objects are small: a request is a unit, two for a transaction.
        units = count + counted[f"{service} TransactWriteItems"]
        report(f"billed units per run: {service}", units, "requests")
    report("calls per run", sum(counted.values()), "calls")


def report_memory(stack: Stack) -> None:
    record = json.loads((stack.folder / "stack.json").read_text())
    for name, process in record["processes"].items():
        status = Path(f"/proc/{process['pid']}/status").read_text()
        kib = int(status.split("VmRSS:")[1].split()[0])
        report(f"idle memory {name}", kib / 1024, "MiB")


def report(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


if __name__ == "__main__":
    main()
