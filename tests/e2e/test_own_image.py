"""A push names an image of its user's own: pinned, fetched from its registry, and what the script stands on."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from python_image import is_possible, python_layer
from registry_fake import FakeRegistry, layer

from infra.local.demo.user import User
from infra.local.inside import new_token
from infra.local.stack import Stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0 or not is_possible(), reason="needs root, and a Python in /usr"),
]
WAIT_SECONDS = 120.0
PASSWORD = "p4ss of:theirs"
TRAIN = """
import argparse, os, sys
parser = argparse.ArgumentParser()
for name in ("epochs", "output_path"):
    parser.add_argument(f"--{name}", required=True)
args = parser.parse_args()
with open("/opt/note") as file:
    print("note", file.read(), "on", sys.executable, os.environ["GREETING"], flush=True)
with open(args.output_path + "/model", "w") as file:
    file.write("trained")
print("epoch: 1 step: 1, loss is 0.5", flush=True)
"""
RUN_FILE = """
runs:
  own:
    boot_file: train.py
    image: IMAGE
    flavor: cpu-small
    timeout: 10m
    hyperparameters: {epochs: 1}
"""


@pytest.fixture
def user(stack: Stack, tmp_path: Path) -> User:
    return User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, tmp_path)


def rules(user: User, run: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Those that a rejected run broke, and where."""
    assert run["state"] == "rejected"
    found = user.api.get(f"/v1/runs/{run['id']}/findings")["findings"]
    return [(one["rule"], one["file"], one["line"]) for one in found if one["severity"] == "error"]


def pushed(user: User, tree: Path, image: str) -> dict[str, Any]:
    """The run that a push with this image starts, when it has ended."""
    (tree / "train.py").write_text(f"{TRAIN}# {time.monotonic()}: each push has a commit of its own\n")
    (tree / "trainyard.yaml").write_text(RUN_FILE.replace("IMAGE", image))
    commit, _ = user.push(tree, f"stand on {image}")
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for run in user.api.get("/v1/projects/ada/own-image/runs")["runs"]:
            settled = run["state"] == "rejected" or run["evaluation"]["state"] == "done"
            if run["commit"] == commit and run["final"] and settled:
                return dict(run)
        time.sleep(0.2)
    pytest.fail(f"no run has ended in {WAIT_SECONDS} s")


def test_a_run_on_an_image_of_ones_own(user: User, registry: FakeRegistry) -> None:
    assert user.api.get("/v1/catalog")["image_registries"] == [f"{registry.host}/team"]
    note = zstd.compress(gzip.decompress(layer({"opt/note": b"from v1"})))
    digest = registry.push("team/train", "v1", [python_layer(), note], environment={"GREETING": "hello"})
    project = user.api.post("/v1/repositories", {"name": "ada/own-image", "kind": "project"})
    tree = user.clone(project["repository"]["clone_url"])
    # It is private: without a login it is not there.
    registry.private.add("team/train")
    registry.login = ("robot", PASSWORD)
    rejected = pushed(user, tree, f"{registry.host}/team/train:v1")
    assert rules(user, rejected) == [("image-missing", "trainyard.yaml", 5)]
    user.api.put(f"/v1/projects/ada/own-image/registries/{registry.host}", {"username": "robot", "password": PASSWORD})
    run = pushed(user, tree, f"{registry.host}/team/train:v1")
    log = user.api.get(f"/v1/runs/{run['id']}/log")["text"]
    assert run["state"] == "succeeded", (run, log)
    assert "note from v1 on /usr/bin/python3 hello" in log
    pinned = f"{registry.host}/team/train:v1@{digest}"
    assert run["spec"]["image"] == pinned
    bundle = user.api.get(f"/v1/runs/{run['id']}/bundle")
    assert (bundle["image"], bundle["framework"]) == (pinned, None)
    assert [one["path"] for one in bundle["outputs"]] == ["model"]

    assert not any(PASSWORD in str(one) for one in (run, bundle, log, user.api.get("/v1/projects/ada/own-image")))

    rejected = pushed(user, tree, f"{registry.host}/other/train:v1")
    assert rules(user, rejected) == [("image-registry", "trainyard.yaml", 5)]
