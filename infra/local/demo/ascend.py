"""`make demo-ascend`: LeNet-5 by way of ModelArts, on this machine. The card is a CPU here, and it says so."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

from infra.local.demo.performance import perform
from infra.local.demo.proof import missing_pieces
from infra.local.demo.scenario import ACCURACY, EPOCHS, EXAMPLE, Scenario
from infra.local.demo.screen import Screen
from infra.local.demo.user import User
from infra.local.emulator.client import client
from infra.local.inside import dead_letters, state_of
from infra.local.stack import Stack

_LOOK_SECONDS = 1.0


def play() -> int:
    """The exit status: 0 only if the run went through ModelArts, succeeded and left what every run leaves."""
    screen = Screen()
    screen.step("Starting the embedded stack with a ModelArts of its own: no account, everything on 127.0.0.1")
    screen.note("No Ascend card is here: MindSpore for the CPU stands for the image, the emulator's S3 for OBS.")
    success = "The run went to ModelArts and came home, on a CPU and not on a card"
    return perform("demo-ascend", screen, _act, success, ascend=True)


class _Clock:
    """Every second what the schedule does every minute, while the schedule is on. A demo should not wait for it."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._ended = stack, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        endpoint = self._stack.addresses.endpoint
        events, functions = client(endpoint, "events"), client(endpoint, "lambda")
        while not self._ended.wait(_LOOK_SECONDS):
            if events.describe_rule(Name="trainyard-watch")["State"] == "ENABLED":
                functions.invoke(FunctionName="trainyard-sweep", Payload=json.dumps({"watch": True}).encode())


def _act(stack: Stack, screen: Screen, user: User) -> list[str]:
    with _Clock(stack):
        return _train(stack, Scenario(user, screen, example=_for_ascend(user.folder)))


def _train(stack: Stack, scenario: Scenario) -> list[str]:
    scenario.create_dataset()
    commit, pushed_at = scenario.push_project()
    run = scenario.follow(scenario.run_of(commit), pushed_at, EPOCHS)
    if run["state"] != "succeeded":
        return [f"{run['name']} is {run['state']}: {json.dumps(run.get('failure'), ensure_ascii=False)}"]
    scenario.show_results(run)
    accuracy = run["evaluation"]["best"].get("accuracy", 0.0)
    wrong = [] if accuracy > ACCURACY else [f"the accuracy is {accuracy}, not above {ACCURACY}"]
    return wrong + _missing(stack, run)


def _missing(stack: Stack, run: Any) -> list[str]:
    known = state_of(stack.addresses).table.run(run["id"])
    wrong = [] if known and known.job and known.job.backend == "modelarts" else ["it did not go by way of ModelArts"]
    said = [{"context": run["name"], "state": "success"}]
    return wrong + missing_pieces(state_of(stack.addresses), run["id"], said, dead_letters(stack.addresses))


def _for_ascend(folder: Path) -> Path:
    """The example with another framework and flavor. MindSpore is the image's, so no package names it."""
    example = folder / "example"
    shutil.copytree(EXAMPLE, example)
    file = example / "trainyard.yaml"
    text = file.read_text()
    text = text.replace("framework: mindspore-cpu ", "framework: mindspore-ascend ")
    file.write_text(text.replace("flavor: cpu ", "flavor: ascend-910 "))
    (example / "train" / "trainDir" / "pip-requirements.txt").write_text("")
    return example
