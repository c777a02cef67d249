"""1,000 pushes within a minute, to 50 projects, while 20 viewers follow logs; then the same with 5 % of all AWS calls failing.

`make bench ONLY=load`; `LOAD_PUSHES=200 make bench ONLY=load` for less. Every run is real: the commit is fetched and
checked, a Batch job trains, its log is indexed and it is judged. What is told here is whether anything was lost or
doubled, and how long it took on this machine. How far it is, and exactly what was lost, stands on standard error.
`LOAD_ERRORS=0.05 make bench ONLY=load` takes one round only.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from infra.local.demo.user import User
from infra.local.emulator.client import client, disturb
from infra.local.inside import dead_letters, new_token, state_of
from infra.local.stack import Stack
from tests.bench.bench_way import children, resident
from tests.bench.report import report
from trainyard.model.repository import Push
from trainyard.model.run import Run, RunState
from trainyard.store.secrets import webhook_secret_name

PUSHES = int(os.environ.get("LOAD_PUSHES", "1000"))
PROJECTS = min(50, PUSHES)
VIEWERS = 20
WITHIN_SECONDS = 60.0
SETTLED_SECONDS = 600.0 + 6.0 * PUSHES
"""Then it is told what has not come to its end."""
STILL_SECONDS = 900.0
"""The same where nothing has moved for so long: longer than what failed waits for its next try."""
LOOK_SECONDS = 10.0
SHARES = tuple(float(share) for share in os.environ.get("LOAD_ERRORS", "0 0.05").split())
SCRIPT = """import time

for step in range(20):
    print(f"epoch: 1 step: {step}, loss is {1 / (step + 1):.4f}", flush=True)
    time.sleep(0.05)
"""
RUN_FILE = "runs:\n  train: {on: push, boot_file: train.py, framework: python-cpu, flavor: cpu-small, output: false, timeout: 30m}\n"


@dataclass
class Load:
    """One round's figures."""

    latencies: list[float] = field(default_factory=list)
    """Seconds from a webhook to its answer."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers other than 2xx, after which the host delivers again."""
    never_taken: list[str] = field(default_factory=list)
    """Commits of the webhooks that were given up."""
    lines: int = 0
    """That viewers read."""
    reads: list[float] = field(default_factory=list)
    """Seconds of one read of a log by a viewer."""
    peak: float = 0.0
    """MiB of the stack's processes and its jobs."""


def main() -> None:
    for share in SHARES:
        with Stack("bench-load", keep=False) as stack, tempfile.TemporaryDirectory() as folder:
            one_round(stack, Path(folder), share)


def one_round(stack: Stack, folder: Path, share: float) -> None:
    user = User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, folder)
    say(f"{PUSHES} pushes to {PROJECTS} projects, {share:.0%} errors; their commits are made")
    stack.warm(at_once=2)  # before there are commits: the sweep is a function, too, and would find them all missed
    pushes = list(prepared(stack, user))
    load, over = Load(), threading.Event()
    watchers = [
        threading.Thread(target=view, args=(stack, new_token(stack.addresses, "ada"), number, load, over), daemon=True)
        for number in range(VIEWERS)
    ]
    watchers.append(threading.Thread(target=weigh, args=(stack, load, over), daemon=True))
    disturb(stack.addresses.endpoint, share)
    began = time.monotonic()
    for watcher in watchers:
        watcher.start()
    with ThreadPoolExecutor(1) as aside, ThreadPoolExecutor(16) as hosts:
        coming_to_rest = aside.submit(settled, stack, load, began)
        moments = [began + number * WITHIN_SECONDS / PUSHES for number in range(len(pushes))]
        list(hosts.map(lambda push, at: deliver(stack, push, at, load), pushes, moments))
        accepted = time.monotonic() - began
        coming_to_rest.result()
    took = time.monotonic() - began
    struck = disturb(stack.addresses.endpoint, 0.0)
    over.set()
    for watcher in watchers:
        watcher.join(30)
    tell(stack, f"{len(pushes)} pushes, {share:.0%} errors: ", load, pushes, accepted, took, sum(struck.values()))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def prepared(stack: Stack, user: User) -> Iterator[tuple[str, bytes, str]]:
    """(project, body, signature) of every webhook; the commits lie on the git host, which has told nobody of them."""
    quiet = "--receive-pack=git -c core.hooksPath=/dev/null receive-pack"
    each = -(-PUSHES // PROJECTS)
    made: list[list[tuple[str, bytes, str]]] = []
    for number in range(PROJECTS):
        name = f"ada/load-{number:02d}"
        new = user.api.post("/v1/repositories", {"name": name, "kind": "project"})
        tree = user.clone(new["repository"]["clone_url"])
        (tree / "trainyard.yaml").write_text(RUN_FILE)
        commits = []
        for step in range(each):
            (tree / "train.py").write_text(f"{SCRIPT}# {number} {step}\n")
            user.git("add", ".", at=tree)
            user.git("commit", "--quiet", "--message", f"step {step}", at=tree)
            user.git("branch", f"step-{step}", at=tree)
            commits.append(user.git("rev-parse", "HEAD", at=tree).strip())
        path = stack.folder / "git" / "repositories" / f"{name}.git"
        user.git("push", "--quiet", quiet, str(path), "refs/heads/step-*:refs/heads/step-*", at=tree)
        secret = state_of(stack.addresses).secrets.get(webhook_secret_name(name)) or ""
        made.append([signed(name, secret, f"step-{step}", commit) for step, commit in enumerate(commits)])
    yield from islice((push for together in zip(*made, strict=True) for push in together), PUSHES)


def signed(name: str, secret: str, branch: str, commit: str) -> tuple[str, bytes, str]:
    body = json.dumps({"ref": f"refs/heads/{branch}", "before": "0" * 40, "after": commit, "pusher": {"name": "ada"}})
    signature = "sha256=" + hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    return name, body.encode(), signature


def deliver(stack: Stack, push: tuple[str, bytes, str], at: float, load: Load) -> None:
    """At its moment; again, as a person on the host's page would, until it was taken."""
    name, body, signature = push
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": signature[-36:],
        "X-Hub-Signature-256": signature,
    }
    time.sleep(max(0.0, at - time.monotonic()))
    for _ in range(20):
        request = urllib.request.Request(f"{stack.addresses.api}/hooks/github/{name}", body, headers)
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=60):
                load.latencies.append(time.monotonic() - began)
                return
        except urllib.error.HTTPError as error:
            load.refused[str(error.code)] += 1
        except OSError as error:
            load.refused[type(error).__name__] += 1
        time.sleep(0.5)
    load.never_taken.append(json.loads(body)["after"])


def view(stack: Stack, token: str, number: int, load: Load, over: threading.Event) -> None:
    """Somebody who follows the newest log of one project from its first line to its last, and then the next."""
    project, read = f"ada/load-{number % PROJECTS:02d}", set()
    while not over.wait(1):
        listed = answer(stack, token, f"/v1/projects/{project}/runs?limit=50", load)
        waiting = [
            run
            for run in listed.get("runs", [])
            if run["id"] not in read and run["state"] not in ("rejected", "admitted", "queued")
        ]
        if waiting:
            read.add(waiting[-1]["id"])
            follow(stack, token, waiting[-1]["id"], load, over)


def follow(stack: Stack, token: str, run: str, load: Load, over: threading.Event) -> None:
    offset, final = 0, False
    while not final and not over.is_set():
        page = answer(stack, token, f"/v1/runs/{run}/log?offset={offset}&wait=5", load)
        load.lines += page.get("text", "").count("\n")
        offset, final = page.get("next_offset", offset), page.get("end", False)


def answer(stack: Stack, token: str, path: str, load: Load) -> dict[str, Any]:
    """Empty where it failed: a viewer asks again."""
    request = urllib.request.Request(stack.addresses.api + path, headers={"Authorization": f"Bearer {token}"})
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            found: dict[str, Any] = json.load(response)
    except OSError:
        time.sleep(1)
        return {}
    load.reads.append(time.monotonic() - began)
    return found


def weigh(stack: Stack, load: Load, over: threading.Event) -> None:
    record = json.loads((stack.folder / "stack.json").read_text())
    while not over.wait(5):
        roots = [process["pid"] for process in record["processes"].values()]
        load.peak = max(load.peak, sum(map(memory, roots)))


def memory(pid: int) -> float:
    """MiB of a process and all below it; what ends meanwhile counts nothing."""
    try:
        return resident(pid) + sum(map(memory, children(pid)))
    except (OSError, IndexError):
        return 0.0


def settled(stack: Stack, load: Load, began: float) -> None:
    """Until every push is checked and every run has come to rest, or nothing moves any more, or time is up."""
    seen, moved = Counter[str](), time.monotonic()
    while True:
        time.sleep(LOOK_SECONDS)
        now = standing(stack)
        if now != seen:
            seen, moved = now, time.monotonic()
        say(f"{time.monotonic() - began:5.0f} s, {len(load.latencies)} webhooks taken: {told(now) or 'nothing yet'}")
        taken = len(load.latencies) + len(load.never_taken)
        if taken >= PUSHES and now["pushes"] >= len(load.latencies) and not now.keys() & UNSETTLED:
            return
        if time.monotonic() - moved > STILL_SECONDS or time.monotonic() - began > SETTLED_SECONDS:
            say(f"given up; in the queues: {told(waiting(stack))}")
            return


UNSETTLED = {"pushes to check", "runs going", "runs to judge"}


def standing(stack: Stack) -> Counter[str]:
    """How many rows there are of what; without their documents, which would keep the emulator from its work."""
    table = stack.addresses.outputs["TableName"]
    pages = client(stack.addresses.endpoint, "dynamodb").get_paginator("scan")
    names = {"#kind": "kind", "#active": "active", "#state": "state"}
    found = Counter[str]()
    for page in pages.paginate(
        TableName=table, ProjectionExpression="#kind, #active, #state", ExpressionAttributeNames=names
    ):
        for row in page["Items"]:
            kind, active = row["kind"]["S"], row.get("active", {}).get("S")
            found["pushes"] += kind == "push"
            found["pushes to check"] += kind == "push" and active == "asked"
            found["runs going"] += kind == "run" and active == "run"
            found["runs to judge"] += kind == "run" and active == "ended"
            if kind == "run":
                found[row["state"]["S"]] += 1
    return +found


def waiting(stack: Stack) -> Counter[str]:
    """Messages in each queue, those in work or waiting for their next try included."""
    sqs = client(stack.addresses.endpoint, "sqs")
    found = Counter[str]()
    for url in sqs.list_queues().get("QueueUrls", []):
        of_it = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found[url.rpartition("/")[2]] = sum(int(of_it[each]) for each in counts)
    return +found


def told(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))


def rows(stack: Stack) -> tuple[list[Push], list[Run]]:
    pages = client(stack.addresses.endpoint, "dynamodb").get_paginator("scan")
    items = [item for page in pages.paginate(TableName=stack.addresses.outputs["TableName"]) for item in page["Items"]]
    documents = {
        kind: [item["document"]["S"] for item in items if item["kind"]["S"] == kind] for kind in ("push", "run")
    }
    pushes = [Push.model_validate_json(document) for document in documents["push"]]
    return pushes, [Run.model_validate_json(document) for document in documents["run"]]


def jobs_of(stack: Stack) -> Counter[str]:
    """How many jobs the Batch server was asked for under each name."""
    batch = client(stack.addresses.batch, "batch")
    listed: Counter[str] = Counter()
    for queue in batch.describe_job_queues()["jobQueues"]:
        arguments = {"jobQueue": queue["jobQueueName"], "filters": [{"name": "AFTER_CREATED_AT", "values": ["0"]}]}
        while True:
            page = batch.list_jobs(**arguments)
            listed.update(job["jobName"] for job in page["jobSummaryList"])
            if not page.get("nextToken"):
                break
            arguments["nextToken"] = page["nextToken"]
    return listed


def tell(
    stack: Stack,
    name: str,
    load: Load,
    sent: list[tuple[str, bytes, str]],
    accepted: float,
    took: float,
    struck: int,
) -> None:
    pushes, runs = rows(stack)
    jobs = jobs_of(stack)
    wrong = what_is_wrong(sent, load, pushes, runs, jobs)
    for what, which in wrong.items():
        for one in which:
            say(f"{what}: {one}")
    figures = {
        "accepted after": (accepted, "s"),
        "webhook answered, median": (statistics.median(load.latencies), "s"),
        "webhook answered, 95th percentile": (statistics.quantiles(load.latencies, n=20)[-1], "s"),
        "webhooks that had to be sent again": (sum(load.refused.values()), "requests"),
        "AWS calls that failed on purpose": (struck, "calls"),
        "all judged after": (took, "s"),
        "runs a minute": (60 * len(runs) / took, "runs/min"),
        "push to queued, median": (median_seconds(runs, RunState.QUEUED), "s"),
        "push to rest, median": (statistics.median([to_rest(run) for run in runs] or [0.0]), "s"),
        "pushes": (len(pushes), "pushes"),
        "runs": (len(runs), "runs"),
        **{what: (len(which), "of them") for what, which in wrong.items()},
        "dead letters": (sum(dead_letters(stack.addresses).values()), "messages"),
        "lines that viewers read": (load.lines, "lines"),
        "a viewer's read, median": (statistics.median(load.reads or [0]), "s"),
        "memory at most": (load.peak, "MiB"),
    }
    for figure, (value, unit) in figures.items():
        report(name + figure, value, unit)


def median_seconds(runs: list[Run], state: RunState) -> float:
    """From when a run was asked for to when it came to that state; 0 where none did."""
    reached = [
        (step.at - run.created_at).total_seconds() for run in runs for step in run.timeline if step.state == state
    ]
    return statistics.median(reached or [0.0])


def to_rest(run: Run) -> float:
    return (run.updated_at - run.created_at).total_seconds()


def what_is_wrong(
    sent: list[tuple[str, bytes, str]], load: Load, pushes: list[Push], runs: list[Run], jobs: Counter[str]
) -> dict[str, list[str]]:
    """Each kind of loss or doubling, with what it happened to. Commits are told apart by their ids: no two are the same."""
    commits = Counter(push.commit for push in pushes)
    of_commit = Counter(run.commit for run in runs)
    wanted = {json.loads(body)["after"]: name for name, body, _ in sent}
    return {
        "webhooks never taken": load.never_taken,
        "pushes lost": [f"{name} {commit}" for commit, name in wanted.items() if not commits[commit]],
        "pushes doubled": [f"{wanted.get(commit)} {commit}" for commit, count in commits.items() if count > 1],
        "pushes not checked": [f"{push.repository} {push.commit}" for push in pushes if push.checked_at is None],
        "runs lost": [f"{name} {commit}" for commit, name in wanted.items() if not of_commit[commit]],
        "runs doubled": [f"{wanted.get(commit or '')} {commit}" for commit, count in of_commit.items() if count > 1],
        "runs that did not succeed": [
            f"{run.id} {run.state.value} {run.failure.message.en if run.failure else ''}"
            for run in runs
            if run.state != RunState.SUCCEEDED
        ],
        "runs not judged": [
            f"{run.id} logs {run.logs.state.value}, evaluation {run.evaluation.state.value}, since {run.updated_at}"
            for run in runs
            if not run.is_settled
        ],
        "runs without a job": [run.id for run in runs if not jobs[run.id]],
        "runs with two jobs": [job for job, count in jobs.items() if count > 1],
    }


if __name__ == "__main__":
    main()
