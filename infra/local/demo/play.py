"""The demo from the first process to the last line."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from infra.local.demo.performance import perform
from infra.local.demo.proof import missing_pieces
from infra.local.demo.scenario import ACCURACY, EPOCHS, FINE_TUNING_EPOCHS, PROJECT, Scenario
from infra.local.demo.screen import Screen
from infra.local.demo.user import User
from infra.local.inside import dead_letters, state_of
from infra.local.stack import Stack
from trainyard.cli.client import Client
from trainyard.model.result import AttemptResult
from trainyard.store.layout import attempt_prefix, result_key


def play(*, keep: bool) -> int:
    """Run the demo; the exit status: 0 only if both runs succeeded and every stage left what it should."""
    screen = Screen()
    screen.step("Starting the embedded stack: no account, no Docker, everything on 127.0.0.1")
    return perform("demo", screen, _act, "Both runs succeeded, every stage left what it should", keep=keep)


def _act(stack: Stack, screen: Screen, user: User) -> list[str]:
    scenario = Scenario(user, screen)
    scenario.create_dataset()
    commit, pushed_at = scenario.push_project()
    first = scenario.follow(scenario.run_of(commit), pushed_at, EPOCHS)
    wrong = _judge(stack, screen, user, first)
    if wrong:
        return wrong
    checkpoint = scenario.show_results(first)
    _show_stages(stack, screen, first)
    submitted, submitted_at = scenario.submit_form(first, checkpoint)
    second = scenario.follow(submitted, submitted_at, FINE_TUNING_EPOCHS)
    wrong = _judge(stack, screen, user, second)
    if not wrong:
        scenario.show_results(second)
        _show_stages(stack, screen, second)
    return wrong


def _judge(stack: Stack, screen: Screen, user: User, run: Any) -> list[str]:
    """Show the commit's statuses; what is wrong with the run."""
    if run["state"] != "succeeded":
        return [f"{run['name']} is {run['state']}: {json.dumps(run.get('failure'), ensure_ascii=False)}"]
    accuracy = run["evaluation"]["best"].get("accuracy", 0.0)
    wrong = [] if accuracy > ACCURACY else [f"the accuracy is {accuracy}, not above {ACCURACY}"]
    statuses = [one for one in _statuses(stack, user, run["commit"]) if run["name"] in one["context"]]
    rows = [(one["context"], one["state"], one["description"]) for one in reversed(statuses)]
    screen.table("Commit statuses on the git host", ["context", "state", "description"], rows)
    return wrong + missing_pieces(state_of(stack.addresses), run["id"], statuses, dead_letters(stack.addresses))


def _statuses(stack: Stack, user: User, commit: str) -> list[Any]:
    """What the git host shows beside the commit, in GitHub's shape, newest first."""
    git_host = Client(stack.addresses.git, user.token)
    return list(git_host.get(f"/api/repos/{PROJECT}/commits/{commit}/statuses", per_page=100))


def _show_stages(stack: Stack, screen: Screen, run: Any) -> None:
    """How long each stage took, of the control plane and of the attempt."""
    state = state_of(stack.addresses)
    before = datetime.fromisoformat(run["created_at"])
    rows = []
    for step in run["timeline"]:
        at = datetime.fromisoformat(step["at"])
        rows.append((f"until {step['state']}", f"{(at - before).total_seconds():.2f}"))
        before = at
    result = AttemptResult.model_validate_json(state.objects.get(result_key(run["id"], 1)))
    rows += [(f"runner: {stage.name}", f"{stage.seconds:.2f}") for stage in result.stages]
    screen.table("Time spent", ["stage", "seconds"], rows)
    screen.note(f"environment {'from the cache' if result.environment_cached else 'installed anew'}")
    screen.note(f"stored under {attempt_prefix(run['id'], 1)}")
