"""What operators do with AWS credentials: the first token of an installation, dead letters sent back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import a_repository

from trainyard import clients
from trainyard.cli.main import run
from trainyard.model.repository import Scope, Visibility
from trainyard.store import State
from trainyard.store.access import authenticate
from trainyard.store.table import Table

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


def test_repositories_of_before_there_were_lists(deployed: State, capsys: pytest.CaptureFixture[str]) -> None:
    table = deployed.table
    table.create_repository(a_repository("ada/shared", members=["bob", "eve"]))
    table.create_repository(a_repository("ada/public", visibility=Visibility.PUBLIC, members=["bob"]))
    table.create_repository(a_repository("ada/own"))
    table.create_repository(a_repository("ada/gone", members=["bob"]))
    table.change_repository("ada/gone", lambda known: known.model_copy(update={"removed_at": known.created_at}))
    entries = _entries()
    assert len(entries) == 4
    for entry in entries[1:]:
        clients.client("dynamodb").delete_item(TableName=table.name, Key={"pk": entry["pk"]})
    for made in (3, 0):
        assert run(["operator", "list-unlisted"]) == 0
        assert json.loads(capsys.readouterr().out) == {"listed": made}
        assert _entries() == entries
    assert [one.repository for one in table.shared_with("bob").rows] == ["ada/public", "ada/shared"]


def test_who_leaves_while_a_repository_is_listed_stays_out(deployed: State, monkeypatch: pytest.MonkeyPatch) -> None:
    table = deployed.table
    table.create_repository(a_repository("ada/shared", members=["bob"]))
    for entry in _entries():
        clients.client("dynamodb").delete_item(TableName=table.name, Key={"pk": entry["pk"]})
    look = Table._list_unlisted

    def leave_first(self: Table, item: Any) -> int:
        table.change_repository("ada/shared", lambda known: known.model_copy(update={"members": []}))
        return look(self, item)

    monkeypatch.setattr(Table, "_list_unlisted", leave_first)
    assert table.list_unlisted() == 0
    assert _entries() == []


def _entries() -> list[Any]:
    items = clients.client("dynamodb").scan(TableName="trainyard")["Items"]
    return sorted((item for item in items if item["kind"]["S"] == "listed"), key=lambda item: str(item["pk"]))


def test_dead_letters_go_back_to_their_queues(deployed: State, capsys: pytest.CaptureFixture[str]) -> None:
    sqs = clients.client("sqs")
    queues = {
        name: sqs.create_queue(QueueName=f"trainyard-{name}")["QueueUrl"] for name in ("a", "a-dead", "b", "b-dead")
    }
    sqs.create_queue(QueueName="other-a-dead")
    sqs.create_queue(QueueName="trainyard-changes-dead")  # a stream's: what it holds is no message of a queue
    bodies = [f"message {number}" for number in range(23)]
    for body in bodies:
        sqs.send_message(QueueUrl=queues["a-dead"], MessageBody=body)
    assert run(["redrive", "--queue", "a", "--most", "5"]) == 0
    assert json.loads(capsys.readouterr().out) == {"queues": [{"name": "trainyard-a", "moved": 5, "left": 18}]}
    assert run(["redrive"]) == 0
    told = json.loads(capsys.readouterr().out)["queues"]
    assert [(one["name"], one["moved"], one["left"]) for one in told] == [("trainyard-a", 18, 0), ("trainyard-b", 0, 0)]
    came = []
    while messages := sqs.receive_message(QueueUrl=queues["a"], MaxNumberOfMessages=10).get("Messages", []):
        came += [one["Body"] for one in messages]
    assert sorted(came) == sorted(bodies)
    assert run(["redrive", "--stack", "nowhere"]) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "2026-02-01", "--to", "2026-01-31"], "--to must be later than --from"),
        (["--stack", "other"], "has no output TableName"),
    ],
)
def test_mistakes_of_a_replay(deployed: State, capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    assert run(["replay", *words]) == 1
    assert told in capsys.readouterr().err


def test_what_is_no_time(deployed: State, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["replay", "--from", "yesterday"])
    assert "'yesterday' is no time: write 2026-01-31" in capsys.readouterr().err
