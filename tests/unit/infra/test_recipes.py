"""Recipes are copied, so what they send must be taken and what they wait for must come."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from wsgiref.simple_server import make_server

import pytest
import yaml
from unit.cli.conftest import Quiet
from unit.infra.templates import ROOT, template
from unit.web.conftest import Send, project, send, web_state  # noqa: F401 - fixtures
from unit.web.gateway import wsgi

from trainyard.cli.main import parser
from trainyard.model import lifecycle
from trainyard.store import State

RECIPES = ROOT / "infra" / "recipes"


def test_the_nightly_run_is_taken(send: Send, project: str) -> None:  # noqa: F811
    resources = template(RECIPES / "nightly-retrain.yaml")["Resources"]
    asked = json.loads(resources["Nightly"]["Properties"]["Target"]["Input"])
    rule = resources["Retrain"]["Properties"]["Targets"][0]["InputTransformer"]["InputTemplate"]
    body = rule.replace("<id>", "event-1").replace("<name>", asked["name"]).replace("<spec>", json.dumps(asked["spec"]))
    first, second = (send("POST", f"/v1/projects/{project}/runs", json.loads(body)) for _ in range(2))
    assert first.status == 201, first.text
    assert first.json["id"] == second.json["id"]


def test_the_awaited_event_comes() -> None:
    pattern = template(RECIPES / "on-finished.yaml")["Resources"]["Finished"]["Properties"]["EventPattern"]
    sample = json.loads((ROOT / "tests/data/events" / f"{pattern['detail-type'][0]}.json").read_text())
    assert sample["source"] in pattern["source"]
    assert sample["detail"]["verdict"] in pattern["detail"]["verdict"]


def test_the_workflow_calls_commands_that_there_are() -> None:
    steps = yaml.safe_load((RECIPES / "github-actions.yml").read_text())["jobs"]["train"]["steps"]
    calls = [step["run"].split() for step in steps if step.get("run", "").startswith("trainyard ")]
    assert len(calls) == 2
    for call in calls:
        parser().parse_args(call[1:])


@pytest.mark.parametrize("ended", [True, False])
def test_curl_alone(send: Send, project: str, web_state: State, tmp_path: Path, ended: bool) -> None:  # noqa: F811
    """A run that is stopped meanwhile, and one that does not end in time."""
    token = send("POST", "/v1/tokens", {"scopes": ["write"]}).json["token"]
    spec = {"boot_file": "train.py", "framework": "mindspore-cpu", "flavor": "cpu"}
    (tmp_path / "run.json").write_text(json.dumps({"name": "lenet5", "spec": spec}))
    with make_server("127.0.0.1", 0, wsgi, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        environment = {
            "PATH": os.environ["PATH"],
            "TRAINYARD_URL": f"http://127.0.0.1:{server.server_port}",
            "TRAINYARD_TOKEN": token,
            "LIMIT_SECONDS": "0",
            "IDEMPOTENCY_KEY": "recipe",
        }
        if ended:
            # Asked for before, and stopped: the same key gives that run.
            words = [RECIPES / "curl.sh", project, tmp_path / "run.json"]
            subprocess.run(words, env=environment, capture_output=True, check=False, timeout=60)
            (run,) = web_state.table.runs_of(project).rows
            web_state.table.change_run(run.id, lambda known: lifecycle.request_stop(known, "ada", known.updated_at))
        words = [RECIPES / "curl.sh", project, tmp_path / "run.json"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
        server.shutdown()
    assert done.returncode == 1
    (run,) = web_state.table.runs_of(project).rows
    assert done.stdout.splitlines()[0] == run.id
    assert ("still requested" in done.stderr) is not ended
