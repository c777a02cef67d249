"""The whole way on the embedded stack: real git, the real template, the production runner."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from infra.local.demo.proof import missing_pieces
from infra.local.demo.user import User
from infra.local.inside import dead_letters, new_token, state_of
from infra.local.stack import Stack
from trainyard.cli.client import ApiError, Client
from trainyard.store.secrets import webhook_secret_name

pytestmark = pytest.mark.e2e
FINAL = ("rejected", "succeeded", "failed", "stopped", "timed_out")
WAIT_SECONDS = 120.0
TRAIN = """
import argparse, pathlib, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--output_path", required=True)
parser.add_argument("--pretrain_url", default="")
parser.add_argument("--mode", default="train")
args = parser.parse_args()
print("mode", args.mode, "from", pathlib.Path(args.pretrain_url).name, flush=True)
if args.mode == "fail":
    raise ValueError("the learning rate is too high")
if args.mode == "sleep":
    time.sleep(120)
for epoch in range(1, args.epochs + 1):
    print(f"epoch: {epoch} step: 10, loss is {1 / epoch}", flush=True)
    print(f"Eval result: epoch {epoch}, metrics: {{'accuracy': {0.9 + epoch / 100}}}", flush=True)
pathlib.Path(args.output_path, "model.ckpt").write_bytes(b"weights")
"""
RUN_FILE = """
runs:
  small:
    on: {push: {branches: [main], paths: ["train/**"]}}
    code_dir: train/trainDir
    boot_file: train.py
    framework: python-cpu
    flavor: cpu-small
    hyperparameters: {epochs: 3}
    timeout: 10m
    evaluation: {require: {accuracy: ">= 0.92", loss: "< 0.5"}}
"""


@pytest.fixture(scope="module")
def user(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> User:
    return User("ada", new_token(stack.addresses, "ada"), stack.addresses.api, tmp_path_factory.mktemp("ada"))


def new_project(user: User, name: str, run_file: str | None = RUN_FILE) -> Path:
    made = user.api.post("/v1/repositories", {"name": f"ada/{name}", "kind": "project"})
    tree = user.clone(made["repository"]["clone_url"])
    code = tree / "train" / "trainDir"
    code.mkdir(parents=True)
    (code / "train.py").write_text(TRAIN)
    (code / "pip-requirements.txt").write_text("")
    if run_file is not None:
        (tree / "trainyard.yaml").write_text(run_file)
    return tree


def run_of(user: User, project: str, commit: str) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for run in user.api.get(f"/v1/projects/ada/{project}/runs")["runs"]:
            if run["commit"] == commit:
                return run
        time.sleep(0.1)
    pytest.fail(f"no run of {commit} in {WAIT_SECONDS} s")


def wait(user: User, run: Any, *states: str) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        run = user.api.get(f"/v1/runs/{run['id']}")
        if run["state"] in (states or FINAL):
            return run
        time.sleep(0.1)
    pytest.fail(f"{run['id']} is {run['state']} after {WAIT_SECONDS} s: {run}")


def read_until(user: User, run: Any, text: str) -> None:
    """Follow the live log until `text` was printed."""
    deadline = time.monotonic() + WAIT_SECONDS
    offset, seen = 0, ""
    while time.monotonic() < deadline:
        page = user.api.get(f"/v1/runs/{run['id']}/log", offset=offset)
        seen, offset = seen + page["text"], page["next_offset"]
        if text in seen:
            return
        time.sleep(0.1)
    pytest.fail(f"{text!r} was not printed in {WAIT_SECONDS} s: {seen}")


def judged(user: User, run: Any) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        run = user.api.get(f"/v1/runs/{run['id']}")
        if run["evaluation"].get("verdict"):
            return run
        time.sleep(0.1)
    pytest.fail(f"no verdict in {WAIT_SECONDS} s")


def statuses(stack: Stack, user: User, project: str, commit: str, last: str) -> list[Any]:
    """The commit's statuses, newest first, once `last` is among them."""
    host = Client(stack.addresses.git, user.token)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        found = list(host.get(f"/api/repos/ada/{project}/commits/{commit}/statuses"))
        if any(status["state"] == last for status in found):
            return found
        time.sleep(0.1)
    pytest.fail(f"no status {last} in {WAIT_SECONDS} s")


def test_from_push_to_verdict_and_on_from_a_form(stack: Stack, user: User) -> None:
    tree = new_project(user, "lenet")
    commit, _ = user.push(tree, "train")
    run = judged(user, wait(user, run_of(user, "lenet", commit)))
    assert (run["state"], run["evaluation"]["verdict"]) == ("succeeded", "passed")
    assert run["evaluation"]["best"]["accuracy"] == pytest.approx(0.93)
    told = statuses(stack, user, "lenet", commit, "success")
    assert len({status["description"] for status in told}) == len(told), "one status per change"
    assert missing_pieces(state_of(stack.addresses), run["id"], told, dead_letters(stack.addresses)) == []
    log = user.api.get(f"/v1/runs/{run['id']}/log")
    assert "epoch: 3 step: 10" in log["text"]
    assert log["end"]

    check_command_line(stack, user, run, tree.parent / "downloaded")

    form = {
        "训练名称": "finetune",
        "code_dir": "train/trainDir",
        "boot_file": "train.py",
        "framework": "python-cpu",
        "flavor": "cpu-small",
        "pretrain_url": f"{run['id']}/model.ckpt",
        "output_path": "on",
        "hyperparameters.epochs": "2",
    }
    second = wait(user, user.api.post_form("/v1/projects/ada/lenet/runs", form))
    assert second["state"] == "succeeded", second["failure"]
    assert "from model.ckpt" in user.api.get(f"/v1/runs/{second['id']}/log")["text"]

    again = wait(user, user.api.post(f"/v1/runs/{second['id']}/rerun"))
    assert (again["state"], again["commit"], again["rerun_of"]) == ("succeeded", second["commit"], second["id"])
    judged(user, again)
    user.api.delete(f"/v1/runs/{again['id']}")
    with pytest.raises(ApiError) as gone:
        user.api.get(f"/v1/runs/{again['id']}")
    assert gone.value.status == 404


def check_command_line(stack: Stack, user: User, run: Any, folder: Path) -> None:
    def trainyard(*words: str) -> str:
        environment = {"TRAINYARD_URL": stack.addresses.api, "TRAINYARD_TOKEN": user.token, "LANG": "C.UTF-8"}
        program = [sys.executable, "-c", "from trainyard.cli import main; main()", *words]
        return subprocess.run(program, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout

    assert run["id"] in trainyard("list", "ada/lenet")
    assert json.loads(trainyard("show", run["id"]))["state"] == "succeeded"
    assert "epoch: 3 step: 10" in trainyard("logs", "-f", run["id"])
    assert "accuracy" in json.loads(trainyard("metrics", run["id"]))["groups"][0]["series"]
    trainyard("download", run["id"], str(folder))
    assert (folder / "model.ckpt").read_bytes() == b"weights"


def test_a_script_that_fails_says_why(user: User) -> None:
    tree = new_project(user, "failing", RUN_FILE.replace("{epochs: 3}", "{mode: fail}"))
    commit, _ = user.push(tree, "train")
    run = wait(user, run_of(user, "failing", commit))
    assert run["state"] == "failed"
    assert run["exit_code"] == 1
    assert any("the learning rate is too high" in line for line in run["failure"]["last_lines"])


def test_a_running_training_is_stopped_and_keeps_its_log(user: User) -> None:
    tree = new_project(user, "stopped", RUN_FILE.replace("{epochs: 3}", "{mode: sleep}"))
    commit, _ = user.push(tree, "train")
    run = wait(user, run_of(user, "stopped", commit), "running", *FINAL)
    read_until(user, run, "mode sleep")
    user.api.post(f"/v1/runs/{run['id']}/stop")
    run = judged(user, wait(user, run))
    assert run["state"] == "stopped"
    assert run["logs"]["lines"] > 0


@pytest.mark.parametrize(
    ("name", "run_file", "file"),
    [
        ("without", None, "trainyard.yaml"),
        ("misspelt", RUN_FILE.replace("boot_file", "bootfile"), "trainyard.yaml"),
        ("broken", "runs: [unclosed", "trainyard.yaml"),
    ],
)
def test_a_repository_that_cannot_be_trained_is_rejected_with_findings(
    stack: Stack, user: User, name: str, run_file: str | None, file: str
) -> None:
    tree = new_project(user, name, run_file)
    commit, _ = user.push(tree, "train")
    run = wait(user, run_of(user, name, commit))
    assert run["state"] == "rejected"
    assert run["findings"]["errors"] >= 1
    found = user.api.get(f"/v1/runs/{run['id']}/findings")["findings"]
    assert any(one["file"] == file and one["fix"]["en"] and one["fix"]["zh"] for one in found)
    with urllib.request.urlopen(found[0]["url"], timeout=30) as explained:  # by anybody
        assert json.loads(explained.read())["id"] == found[0]["rule"]
    assert statuses(stack, user, name, commit, "error")[0]["description"].startswith("rejected")


def post_hook(stack: Stack, path: str, body: bytes, secret: str | None) -> int:
    headers = {"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": "1"}
    if secret is not None:
        headers["X-Hub-Signature-256"] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(f"{stack.addresses.api}{path}", data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        body = error.read()
        if error.code != 413:
            assert set(json.loads(body)) == {"code", "message", "details"}
        return error.code


def test_webhooks_that_are_wrong_are_refused(stack: Stack, user: User) -> None:
    new_project(user, "hooked")
    body = json.dumps({"zen": "."}).encode()
    right = state_of(stack.addresses).secrets.get(webhook_secret_name("ada/hooked"))
    assert right is not None
    assert post_hook(stack, "/hooks/github/ada/hooked", body, None) == 401
    assert post_hook(stack, "/hooks/github/ada/hooked", body, "wrong") == 401
    assert post_hook(stack, "/hooks/github/ada/nobody", body, right) == 401
    assert post_hook(stack, "/hooks/github/ada/hooked", b" " * 26_000_000, right) == 413


def test_requests_that_are_wrong_get_one_shape_of_error(stack: Stack, user: User) -> None:
    new_project(user, "asked")
    for path, document, status in [
        ("/v1/projects/ada/nobody/runs", {}, 404),
        ("/v1/projects/ada/asked/runs", {"name": "x"}, 422),
        ("/v1/runs/run-00000000000000000000aa/stop", {}, 404),
    ]:
        with pytest.raises(ApiError) as refused:
            user.api.post(path, document) if status != 404 or "runs/run" in path else user.api.get(path)
        assert refused.value.status == status
        assert refused.value.message
    with pytest.raises(ApiError) as stranger:
        Client(stack.addresses.api).get("/v1/projects/ada/asked/runs")
    assert stranger.value.status in (401, 404)


EVALUATE = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--model_url", required=True)
parser.add_argument("--test_url", required=True)
parser.add_argument("--output_path", required=True)
args = parser.parse_args()
weights = pathlib.Path(args.model_url, "model.ckpt").read_bytes()
labels = pathlib.Path(args.test_url, "labels.txt").read_text().split()
print("judging", len(weights), "bytes on", len(labels), "labels")
pathlib.Path(args.output_path, "metrics.json").write_text(json.dumps({"test_accuracy": len(labels) / 4}))
"""


def test_the_projects_own_evaluation_script_decides_and_the_bundle_is_signed(
    user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = user.api.post("/v1/repositories", {"name": "ada/labels", "kind": "dataset"})
    data = user.clone(made["repository"]["clone_url"])
    (data / "labels.txt").write_text("1 2 3\n")
    user.push(data, "labels")
    judge = "{script: evaluate.py, inputs: {test_url: {dataset: ada/labels}}, require: {test_accuracy: '>= 0.7'}}"
    run_file = RUN_FILE.replace('{require: {accuracy: ">= 0.92", loss: "< 0.5"}}', judge)
    tree = new_project(user, "judged", run_file)
    (tree / "train" / "trainDir" / "evaluate.py").write_text(EVALUATE)
    commit, _ = user.push(tree, "train and judge")
    deadline, trained = time.monotonic() + WAIT_SECONDS, None
    while trained is None and time.monotonic() < deadline:
        runs = user.api.get("/v1/projects/ada/judged/runs")["runs"]
        trained = next((one for one in runs if one["commit"] == commit and one["origin"] == "push"), None)
        time.sleep(0.1)
    run = judged(user, trained)
    assert (run["state"], run["evaluation"]["verdict"]) == ("succeeded", "passed")
    assert run["evaluation"]["best"]["test_accuracy"] == 0.75
    runs = user.api.get("/v1/projects/ada/judged/runs")["runs"]
    (script,) = [one for one in runs if one["origin"] == "evaluation"]
    assert (script["evaluates"]["run"], script["state"]) == (run["id"], "succeeded")
    assert "judging 7 bytes on 3 labels" in user.api.get(f"/v1/runs/{script['id']}/log")["text"]
    assert user.api.get("/v1/projects/ada/judged/search", text="judging")["hits"][0]["run"] == script["id"]

    from trainyard.cli.main import run as command

    monkeypatch.setenv("TRAINYARD_URL", user.api.url)
    monkeypatch.setenv("TRAINYARD_TOKEN", user.token)
    monkeypatch.setattr("trainyard.cli.terminal.is_terminal", lambda: True)
    assert command(["download", run["id"], str(tmp_path)]) == 0
    assert command(["verify", run["id"], "--outputs", str(tmp_path)]) == 0
    assert "same       model.ckpt" in capsys.readouterr().out
    assert command(["reproduce", run["id"], "--timeout", str(WAIT_SECONDS)]) == 0
    told = capsys.readouterr().out
    assert "1 of 1 outputs are the same to the last byte" in told
    assert "reproduced within 0.01" in told
