"""The first token of an installation, made with AWS credentials."""

from __future__ import annotations

import json

import pytest

from trainyard import clients
from trainyard.cli.main import run
from trainyard.model.repository import Scope
from trainyard.store import State
from trainyard.store.access import authenticate

TEMPLATE = {
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    "Outputs": {"TableName": {"Value": "trainyard"}},
}


@pytest.fixture
def deployed(state: State) -> State:
    for name, template in (("trainyard", TEMPLATE), ("other", {**TEMPLATE, "Outputs": {"X": {"Value": "x"}}})):
        clients.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
    return state


def test_the_first_token(deployed: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["operator", "token", "root"]) == 0
    made = json.loads(capsys.readouterr().out)
    token = authenticate(deployed.table, f"Bearer {made['token']}")
    assert token is not None
    assert (token.user, token.scopes) == ("root", [Scope.OPERATE])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["root", "--stack", "nowhere"], "nowhere cannot be read"),
        (["root", "--stack", "other"], "has no output TableName"),
        (["two words"], "is no user name"),
    ],
)
def test_mistakes(deployed: State, capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    assert run(["operator", "token", *words]) == 1
    assert told in capsys.readouterr().err
