"""A run by way of ModelArts where IAM is enforced: carriers, packages, Aim, several cards, and the way home by SMN."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from e2e.test_main_job import judged, new_project, run_of, statuses, wait
from unit.githost.little_stack import needs_git_lfs

from infra.local.demo.proof import missing_pieces
from infra.local.demo.user import User
from infra.local.emulator.client import client
from infra.local.inside import dead_letters, new_token, state_of
from infra.local.stack import OBS_BUCKET, Stack
from trainyard.store.objects import Objects

pytestmark = [pytest.mark.e2e, needs_git_lfs]
TRAIN = """
import argparse, os, pathlib, shutil, sys, time
import trainyard_greeting
parser = argparse.ArgumentParser()
parser.add_argument("--data_url", required=True)
parser.add_argument("--output_path", required=True)
parser.add_argument("--aim_repo", required=True)
parser.add_argument("--mode", default="train")
args = parser.parse_args()
print(trainyard_greeting.greeting(), "rank", os.environ["RANK_ID"], "of", os.environ["RANK_SIZE"], flush=True)
if args.mode == "sleep":
    time.sleep(120)
print("Eval result: epoch 1, metrics: {'accuracy': 0.95}", flush=True)
pathlib.Path(args.output_path, f"model-{os.environ['RANK_ID']}.ckpt").write_bytes(b"weights")
if os.environ["RANK_ID"] == "0":
    shutil.copytree(pathlib.Path(args.data_url, "aim"), args.aim_repo, dirs_exist_ok=True)
"""
RUN_FILE = """
runs:
  npu:
    on: {push: {branches: [main]}}
    code_dir: train/trainDir
    boot_file: train.py
    framework: mindspore-ascend
    flavor: ascend-910
    inputs:
      data_url: {dataset: ada/aim-data}
    hyperparameters: {mode: train}
    aim: true
    nodes: 2
    timeout: 10m
    evaluation: {require: {accuracy: ">= 0.9"}}
"""


@pytest.fixture(scope="module")
def user(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> User:
    made = User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, tmp_path_factory.mktemp("ada"))
    new = made.api.post("/v1/repositories", {"name": "ada/aim-data", "kind": "dataset"})
    data = made.clone(new["repository"]["clone_url"])
    made.git("lfs", "track", "aim/**", at=data)
    shutil.copytree(ROOT / "tests" / "data" / "aim", data / "aim")
    made.push(data, "an Aim repository")
    return made


def project(user: User, name: str, run_file: str = RUN_FILE) -> Path:
    tree = new_project(user, name, run_file)
    (tree / "train" / "trainDir" / "train.py").write_text(TRAIN)
    (tree / "train" / "trainDir" / "pip-requirements.txt").write_text("trainyard-greeting==1.0\n")
    return tree


def log_of(user: User, run: Any, **query: int) -> str:
    return str(user.api.get(f"/v1/runs/{run['id']}/log", offset=0, **query)["text"])


def test_there_and_home_again(stack: Stack, user: User) -> None:
    tree = project(user, "npu")
    commit, _ = user.push(tree, "train")
    run = judged(user, wait(user, run_of(user, "npu", commit)))
    assert (run["state"], run["evaluation"]["verdict"]) == ("succeeded", "passed"), json.dumps(run, indent=1)
    told = statuses(stack, user, "npu", commit, "success")
    assert missing_pieces(state_of(stack.addresses), run["id"], told, dead_letters(stack.addresses)) == []
    assert "hello from a wheel rank 0 of 2" in log_of(user, run)
    assert "[rank 1] hello from a wheel rank 1 of 2" in log_of(user, run, node=1)
    outputs = {file["path"] for file in user.api.get(f"/v1/runs/{run['id']}/outputs")["outputs"]}
    assert outputs == {"model-0.ckpt", "model-1.ckpt"}
    assert user.api.get(f"/v1/runs/{run['id']}/aim")["runs"]
    assert not list(Objects(OBS_BUCKET, client(stack.addresses.endpoint, "s3")).find("")), "all of it was cleared"
