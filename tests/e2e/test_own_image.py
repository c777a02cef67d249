"""A push names an image of its user's own: pinned, fetched from its registry, and what the script stands on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
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


def pushed(user: User, tree: Path, image: str) -> dict[str, Any]:
    """The run that a push with this image starts, when it has ended."""
    (tree / "train.py").write_text(TRAIN)
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
    digest = registry.push(
        "team/train", "v1", [python_layer(), layer({"opt/note": b"from v1"})], environment={"GREETING": "hello"}
    )
    project = user.api.post("/v1/repositories", {"name": "ada/own-image", "kind": "project"})
    tree = user.clone(project["repository"]["clone_url"])
    run = pushed(user, tree, f"{registry.host}/team/train:v1")
    log = user.api.get(f"/v1/runs/{run['id']}/log")["text"]
    assert run["state"] == "succeeded", (run, log)
    assert "note from v1 on /usr/bin/python3 hello" in log
    pinned = f"{registry.host}/team/train:v1@{digest}"
    assert run["spec"]["image"] == pinned
    bundle = user.api.get(f"/v1/runs/{run['id']}/bundle")
    assert (bundle["image"], bundle["framework"]) == (pinned, None)
    assert [one["path"] for one in bundle["outputs"]] == ["model"]

    rejected = pushed(user, tree, f"{registry.host}/other/train:v1")
    assert rejected["state"] == "rejected"
    found = user.api.get(f"/v1/runs/{rejected['id']}/findings")["findings"]
    assert [(one["rule"], one["file"], one["line"]) for one in found if one["severity"] == "error"] == [
        ("image-registry", "trainyard.yaml", 5)
    ]
