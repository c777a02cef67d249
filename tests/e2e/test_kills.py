"""Processes are killed in the middle of real runs; what comes of them is what would have come anyway."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from e2e.test_main_job import new_project, read_until, run_of, wait

from infra.local.demo.user import User
from infra.local.emulator.client import client
from infra.local.inside import dead_letters, new_token
from infra.local.stack import Stack

pytestmark = pytest.mark.e2e
SCRIPT = """
import argparse, os, pathlib, time

arguments = argparse.ArgumentParser()
arguments.add_argument("--output_path", type=pathlib.Path)
output = arguments.parse_args().output_path
done = output / "done"
begin = int(done.read_text()) if done.exists() else 0
for step in range(begin + 1, 13):
    time.sleep(0.5)
    done.write_text(str(step))
    print(f"epoch: 1 step: {step}, loss is {1 / step}", flush=True)
"""
RUN_FILE = """
runs:
  steps:
    code_dir: train/trainDir
    boot_file: train.py
    framework: python-cpu
    flavor: cpu-small
    retries: 2
    timeout: 10m
    evaluation: {require: {loss: "< 0.1"}}
"""


@pytest.fixture(scope="module")
def user(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> User:
    return User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, tmp_path_factory.mktemp("kills"))


def processes(*words: str) -> list[int]:
    """Of everything below this very test: whose command line has all these words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if all(word in command for word in words):
                found.append(int(entry.name))
    return found


def environment_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def pid_of(stack: Stack, part: str) -> int:
    record = json.loads((stack.folder / "stack.json").read_text())
    return int(record["processes"][part]["pid"])


def pushed(user: User, name: str) -> str:
    tree = new_project(user, name, RUN_FILE)
    (tree / "train/trainDir/train.py").write_text(SCRIPT)
    commit, _ = user.push(tree, "train")
    return commit


def started(user: User, name: str) -> Any:
    run = run_of(user, name, pushed(user, name))
    read_until(user, run, "step: 4,")
    return run


def judged(user: User, run: Any) -> Any:
    """The run once its log is indexed and its evaluation made."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        run = user.api.get(f"/v1/runs/{run['id']}")
        if run["evaluation"]["state"] != "none":
            break
        time.sleep(0.2)
    return run


def steps(user: User, run: Any) -> list[int]:
    """What the log says was done, over all attempts."""
    text = user.api.get(f"/v1/runs/{run['id']}/log", line=1, lines=1000)["text"]
    return [int(line.split("step: ")[1].split(",")[0]) for line in text.splitlines() if "step: " in line]


def test_the_runner_is_killed(stack: Stack, user: User) -> None:
    """As by a kernel that is out of memory: the run fails, with a reason, its log and its evaluation."""
    run = started(user, "killed-runner")
    runners = [pid for pid in processes("-m trainyard.runner") if run["id"] in environment_of(pid)]
    assert runners
    for pid in runners:
        os.kill(pid, signal.SIGKILL)
    run = judged(user, wait(user, run))
    assert (run["state"], run["logs"]["state"]) == ("failed", "done")
    assert run["failure"]["message"]["en"]
    assert steps(user, run)[:3] == [1, 2, 3]
    assert not [pid for pid in processes("train.py") if run["id"] in environment_of(pid)], "the script goes on"


def test_the_batch_server_is_killed(stack: Stack, user: User) -> None:
    """Its machines are gone with it: the next attempt goes on where the last one's outputs end."""
    run = started(user, "killed-batch")
    time.sleep(1)
    os.kill(pid_of(stack, "batch"), signal.SIGKILL)
    stack.revive_batch()
    run = judged(user, wait(user, run))
    assert (run["state"], run["attempt"], run["evaluation"]["verdict"]) == ("succeeded", 2, "passed")
    assert sorted(set(steps(user, run))) == list(range(1, 13))
    assert sum(dead_letters(stack.addresses).values()) == 0


def kill_workers(stack: Stack, times: int) -> int:
    """Those of the emulator in which functions run, once a second; how many there were."""
    killed = 0
    for _ in range(times):
        for pid in processes("ministack-lambda-trainyard-", "_worker.py", str(stack.folder)):
            os.kill(pid, signal.SIGKILL)
            killed += 1
        time.sleep(1)
    return killed


def test_functions_are_killed_again_and_again(stack: Stack, user: User) -> None:
    sqs = client(stack.addresses.endpoint, "sqs")
    queues = [url for url in sqs.list_queues()["QueueUrls"] if not url.endswith("-dead")]
    known = {url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"]) for url in queues}
    for url in queues:  # nobody waits for six times a function's limit here
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "10"})
    try:
        commit = pushed(user, "killed-functions")
        killed = kill_workers(stack, 3)  # that receive it, fetch it, and make a job of it
        run = run_of(user, "killed-functions", commit)
        read_until(user, run, "step: 4,")
        killed += kill_workers(stack, 6)  # that track it, index its log, and judge it
        assert killed > 9
        run = judged(user, wait(user, run))
        assert (run["state"], run["evaluation"]["verdict"]) == ("succeeded", "passed")
        assert steps(user, run) == list(range(1, 13))
        assert sum(dead_letters(stack.addresses).values()) == 0
    finally:
        for url, attributes in known.items():
            sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes["Attributes"])
