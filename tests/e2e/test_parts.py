"""Runs of several parts on the embedded stack: two machines that train together, and a sweep."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.batch import faults
from infra.local.demo.user import User
from infra.local.inside import dead_letters, new_token
from infra.local.stack import Stack
from trainyard.cli.client import ApiError

pytestmark = pytest.mark.e2e
WAIT_SECONDS = 120.0
# An all-reduce by hand: every rank sends its numbers to the first one, which adds them up and sends back the sum.
ALL_REDUCE = """
import argparse, json, os, pathlib, socket, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--output_path", required=True)
parser.add_argument("--broken", type=int, default=-1)
parser.add_argument("--sleep", type=int, default=0)
args = parser.parse_args()
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == args.broken:
    raise ValueError("bad card")
print("here", flush=True)
time.sleep(args.sleep)
mine = [rank + 1.0, 10.0 * (rank + 1)]

def reach():
    for attempt in range(600):
        try:
            return socket.create_connection(place, timeout=60)
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit("nobody at " + str(place))

if rank == 0:
    server = socket.create_server(place)
    server.settimeout(60)
    others = [server.accept()[0] for other in range(1, world)]
    received = [json.loads(other.makefile().readline()) for other in others]
    total = [sum(column) for column in zip(mine, *received)]
    for other in others:
        other.sendall((json.dumps(total) + "\\n").encode())
else:
    main = reach()
    main.sendall((json.dumps(mine) + "\\n").encode())
    total = json.loads(main.makefile().readline())
print("rank", rank, "of", world, "local", os.environ["LOCAL_RANK"], "sum", total, flush=True)
if rank == 0:
    print(f"epoch: 1 step: 1, loss is {total[0]}", flush=True)
pathlib.Path(args.output_path, f"rank-{rank}.txt").write_text(str(total))
"""
TRAIN = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--net", required=True)
parser.add_argument("--output_path", required=True)
parser.add_argument("--pretrain_url", default="")
args = parser.parse_args()
if args.pretrain_url:
    print("from", pathlib.Path(args.pretrain_url).read_text(), flush=True)
print("trying", args.lr, args.net, flush=True)
for epoch in (1, 2):
    print(f"epoch: {epoch} step: 1, loss is {args.lr / epoch}", flush=True)
pathlib.Path(args.output_path, "model.ckpt").write_text(f"{args.lr} {args.net}")
"""
SPEC = {
    "boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu-small", "timeout": "5m", "on": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def user(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> User:
    return User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, tmp_path_factory.mktemp("ada"))


def _project(user: User, name: str, script: str) -> None:
    made = user.api.post("/v1/repositories", {"name": f"ada/{name}", "kind": "project"})
    tree: Path = user.clone(made["repository"]["clone_url"])
    (tree / "train.py").write_text(script)
    user.push(tree, "code")


def _start(user: User, project: str, **spec: Any) -> str:
    run = user.api.post(f"/v1/projects/ada/{project}/runs", {"name": "parts", "spec": {**SPEC, **spec}})
    return str(run["id"])


def _until(user: User, run_id: str, reached: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        run = user.api.get(f"/v1/runs/{run_id}")
        if reached(run):
            return run
        if time.monotonic() > deadline:
            pytest.fail(f"{run_id} is {run['state']} after {WAIT_SECONDS} s: {run}")
        time.sleep(0.2)


def _settled(run: Any) -> bool:
    return bool(run["final"]) and run["evaluation"]["state"] != "none"


def _log(user: User, run_id: str, **part: int) -> str:
    return str(user.api.get(f"/v1/runs/{run_id}/log", **part)["text"])


def _phases(user: User, run_id: str) -> list[str]:
    return [one["phase"] for one in user.api.get(f"/v1/runs/{run_id}/nodes")["nodes"]]


def _outputs(user: User, run_id: str, **part: int) -> list[str]:
    return [one["path"] for one in user.api.get(f"/v1/runs/{run_id}/outputs", **part)["outputs"]]


def test_two_machines_train_together(stack: Stack, user: User) -> None:
    _project(user, "together", ALL_REDUCE)
    run_id = _start(user, "together", nodes=2, processes=2)
    run = _until(user, run_id, _settled)
    assert (run["state"], run["failure"]) == ("succeeded", None)
    # 1 + 2 + 3 + 4, on all ranks of both machines.
    first, second = _log(user, run_id), _log(user, run_id, node=1)
    for rank, log in ((0, first), (1, first), (2, second), (3, second)):
        assert f"rank {rank} of 4 local {rank % 2} sum [10.0, 100.0]" in log
    assert "[rank 2]" not in first
    assert run["evaluation"]["best"]["loss"] == 10.0
    assert _outputs(user, run_id) == ["rank-0.txt", "rank-1.txt"]
    assert _outputs(user, run_id, node=1) == ["rank-2.txt", "rank-3.txt"]
    nodes = user.api.get(f"/v1/runs/{run_id}/nodes")["nodes"]
    assert (nodes[0], len(nodes)) == ({"index": 0, "phase": "succeeded"}, 2)
    one = user.api.post("/v1/projects/ada/together/estimate", {"name": "one", "spec": SPEC})["estimate"]["most_usd"]
    assert run["estimate"]["most_usd"] == pytest.approx(2 * one, rel=0.01)
    assert run["cost"]["seconds"] > 0
    with pytest.raises(ApiError) as missing:
        _log(user, run_id, node=2)
    assert missing.value.status == 404
    assert not any(dead_letters(stack.addresses).values())


def test_a_machine_that_fails_ends_the_run_and_says_why(user: User) -> None:
    run_id = _start(user, "together", nodes=2, hyperparameters={"broken": 1})
    run = _until(user, run_id, _settled)
    assert (run["state"], run["failure"]["kind"]) == ("failed", "node")
    assert "Machine 1 failed" in run["failure"]["message"]["en"]
    assert "ValueError: bad card" in _log(user, run_id, node=1)


KEEP = """
import argparse, os, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--output_path", required=True)
checkpoint = pathlib.Path(parser.parse_args().output_path, f"rank-{os.environ['RANK']}.ckpt")
if checkpoint.exists():
    print("going on from", checkpoint.read_text(), "in attempt", os.environ["TRAINYARD_ATTEMPT"], flush=True)
else:
    checkpoint.write_text("epoch 3")
    print("waiting", flush=True)
    time.sleep(600)
"""


def test_a_lost_machine_makes_all_go_on_from_their_checkpoints(stack: Stack, user: User) -> None:
    _project(user, "keep", KEEP)
    run_id = _start(user, "keep", nodes=2, retries=1, output=True)
    run = _until(user, run_id, lambda run: "waiting" in _log(user, run_id, node=1))
    faults.reclaim(stack.addresses.batch, f"{run['job']['id']}#1")
    run = _until(user, run_id, _settled)
    assert (run["state"], run["attempt"], run["failure"]) == ("succeeded", 2, None)
    for log in (_log(user, run_id), _log(user, run_id, node=1)):
        assert "going on from epoch 3 in attempt 2" in log
    bundle = user.api.get(f"/v1/runs/{run_id}/bundle")
    assert (bundle["nodes"], [other["node"] for other in bundle["others"]]) == (2, [1])


def test_several_machines_are_stopped_together(user: User) -> None:
    run_id = _start(user, "together", nodes=2, hyperparameters={"sleep": 300})
    _until(user, run_id, lambda _run: "here" in _log(user, run_id, node=1))
    user.api.post(f"/v1/runs/{run_id}/stop")
    assert _until(user, run_id, lambda run: bool(run["final"]))["state"] == "stopped"
    _until(user, run_id, lambda _run: _phases(user, run_id) == ["failed", "failed"])


def test_a_sweep_tries_every_combination_and_one_of_them_goes_on(stack: Stack, user: User) -> None:
    _project(user, "sweep", TRAIN)
    run_id = _start(user, "sweep", hyperparameters={"lr": [0.5, 0.25], "net": ["a", "b"]})
    run = _until(user, run_id, _settled)
    assert run["state"] == "succeeded", run["failure"]
    assert run["children"] == {"total": 4, "succeeded": 4, "failed": 0, "running": 0}
    listed = user.api.get(f"/v1/runs/{run_id}/children")
    assert listed["metric"] == "loss"
    assert [(one["parameters"], one["phase"], one["best"]) for one in listed["children"]] == [
        ({"lr": 0.5, "net": "a"}, "succeeded", 0.25),
        ({"lr": 0.5, "net": "b"}, "succeeded", 0.25),
        ({"lr": 0.25, "net": "a"}, "succeeded", 0.125),
        ({"lr": 0.25, "net": "b"}, "succeeded", 0.125),
    ]
    groups = user.api.get(f"/v1/runs/{run_id}/metrics")["groups"]
    assert [group["parameters"] for group in groups] == [one["parameters"] for one in listed["children"]]
    assert run["evaluation"]["best"]["loss"] == 0.125
    for index, words in ((0, "trying 0.5 a"), (3, "trying 0.25 b")):
        assert words in _log(user, run_id, child=index)
        assert _outputs(user, run_id, child=index) == ["model.ckpt"]
    assert _outputs(user, run_id) == []

    source = {"run": run_id, "child": 2, "path": "model.ckpt"}
    tuned = _start(user, "sweep", inputs={"pretrain_url": source}, hyperparameters={"lr": 0.1, "net": "a"})
    assert _until(user, tuned, _settled)["state"] == "succeeded"
    assert "from 0.25 a" in _log(user, tuned)
    refused = _start(user, "sweep", inputs={"pretrain_url": {"run": run_id}}, hyperparameters={"lr": 0.1, "net": "a"})
    assert _until(user, refused, lambda known: bool(known["final"]))["state"] == "rejected"
    assert not any(dead_letters(stack.addresses).values())
