"""Inputs from every kind of place, named in one run file, arrive as what they are."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from e2e.conftest import LAKE
from unit.githost.little_stack import client, needs_git_lfs

from infra.local.demo.user import User
from infra.local.inside import new_token
from infra.local.stack import Stack

pytestmark = [pytest.mark.e2e, needs_git_lfs]
WAIT_SECONDS = 120.0
TRAIN = """
import argparse, pathlib
parser = argparse.ArgumentParser()
for name in ("data_url", "lake_url", "label_url", "output_path"):
    parser.add_argument(f"--{name}", required=True)
args = parser.parse_args()
for path in sorted(pathlib.Path(args.data_url).rglob("*")):
    print("dataset", path.name, path.read_bytes()[:9])
for path in sorted(pathlib.Path(args.lake_url).rglob("*")):
    print("lake", path.name, path.read_bytes())
print("label", pathlib.Path(args.label_url).read_bytes(), flush=True)
"""
RUN_FILE = """
runs:
  small:
    boot_file: train.py
    framework: python-cpu
    flavor: cpu-small
    timeout: 10m
    inputs:
      data_url: {dataset: ada/numbers, revision: v1, path: train}
      lake_url: {s3: s3://LAKE/digits/train}
      label_url: {s3: s3://LAKE/digits, path: labels.txt}
"""


def test_a_tag_of_a_dataset_and_objects_of_another_bucket(stack: Stack, tmp_path: Path) -> None:
    s3 = client("s3", stack.addresses.endpoint)
    s3.create_bucket(Bucket=LAKE)
    for key, content in {"digits/train/a": b"A", "digits/train/b": b"B", "digits/labels.txt": b"0 1"}.items():
        s3.put_object(Bucket=LAKE, Key=key, Body=content)
    user = User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, tmp_path)
    data = user.clone(
        user.api.post("/v1/repositories", {"name": "ada/numbers", "kind": "dataset"})["repository"]["clone_url"]
    )
    (data / "train").mkdir()
    (data / "train/large.bin").write_bytes(b"large" * 100_000)
    (data / "train/small.txt").write_bytes(b"small")
    user.git("lfs", "track", "*.bin", at=data)
    user.push(data, "first")
    user.git("tag", "v1", at=data)
    user.git("push", "origin", "v1", at=data)
    (data / "train/small.txt").write_bytes(b"later")
    user.push(data, "second")
    tree = user.clone(
        user.api.post("/v1/repositories", {"name": "ada/inputs", "kind": "project"})["repository"]["clone_url"]
    )
    (tree / "train.py").write_text(TRAIN)
    (tree / "pip-requirements.txt").write_text("")
    (tree / "trainyard.yaml").write_text(RUN_FILE.replace("LAKE", LAKE))
    user.push(tree, "train")
    log = finished_log(user)
    assert "dataset large.bin b'largelarg'" in log
    assert "dataset small.txt b'small'" in log
    assert "lake a b'A'\nlake b b'B'\n" in log.replace("\r", "")
    assert "label b'0 1'" in log

    (tree / "trainyard.yaml").write_text(RUN_FILE.replace("LAKE/digits/train", f"{LAKE}/other").replace("LAKE", LAKE))
    commit, _ = user.push(tree, "what the operator did not allow")
    run = ended(user, commit)
    assert run["state"] == "rejected"
    (finding,) = [
        each for each in user.api.get(f"/v1/runs/{run['id']}/findings")["findings"] if each["severity"] == "error"
    ]
    assert (finding["rule"], finding["file"], finding["line"]) == ("input-missing", "trainyard.yaml", 10)


def finished_log(user: User) -> str:
    run = ended(user, None)
    log: str = user.api.get(f"/v1/runs/{run['id']}/log")["text"]
    assert run["state"] == "succeeded", (run, log)
    return log


def ended(user: User, commit: str | None) -> dict[str, str]:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for run in user.api.get("/v1/projects/ada/inputs/runs")["runs"]:
            if run["final"] and commit in (None, run["commit"]):
                return dict(run)
        time.sleep(0.2)
    pytest.fail(f"no run has ended in {WAIT_SECONDS} s")
