from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from unit.githost.little_stack import make_state

from trainyard.lfs.batch import handle_lfs
from trainyard.lfs.quota import Quota
from trainyard.model.repository import Repository, RepositoryKind, Scope, Visibility
from trainyard.store import State
from trainyard.store.access import issue_token


class Caller:
    """One user of the locking API of `ada/model`."""

    def __init__(self, state: State, user: str) -> None:
        self._state = state
        self._token = issue_token(state.table, user, [Scope.READ, Scope.WRITE])[0]

    def ask(self, method: str, rest: str, document: dict[str, Any] | None = None, query: str = "") -> tuple[int, Any]:
        event = {
            "rawPath": f"/ada/model.git/info/lfs/{rest}",
            "rawQueryString": query,
            "headers": {"authorization": f"Bearer {self._token}"},
            "requestContext": {"http": {"method": method}},
            "body": json.dumps(document),
        }
        answer = handle_lfs(event, self._state, Quota(self._state.objects, 0))
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def state(aws: str) -> State:
    made = make_state(aws, f"t{uuid.uuid4().hex[:12]}")
    made.table.create_repository(
        Repository(
            full_name="ada/model",
            kind=RepositoryKind.MODEL,
            host="github",
            clone_url="https://git.example.org/ada/model.git",
            owner="ada",
            members=["bob"],
            visibility=Visibility.PUBLIC,
            created_at=datetime.now(UTC),
        )
    )
    return made


def test_one_file_has_one_lock(state: State) -> None:
    ada, bob = Caller(state, "ada"), Caller(state, "bob")
    status, made = ada.ask("POST", "locks", {"path": "a.ckpt", "ref": {"name": "refs/heads/main"}})
    assert status == 201
    assert made["lock"]["path"] == "a.ckpt"
    assert made["lock"]["owner"] == {"name": "ada"}
    status, conflict = bob.ask("POST", "locks", {"path": "a.ckpt"})
    assert (status, conflict["lock"]) == (409, made["lock"])
    assert "已被 ada 锁定" in conflict["message"]


def test_a_push_learns_which_locks_are_its_own(state: State) -> None:
    ada, bob = Caller(state, "ada"), Caller(state, "bob")
    ada.ask("POST", "locks", {"path": "a.ckpt"})
    bob.ask("POST", "locks", {"path": "b.ckpt"})
    status, answer = ada.ask("POST", "locks/verify", {})
    assert status == 200
    assert [lock["path"] for lock in answer["ours"]] == ["a.ckpt"]
    assert [lock["path"] for lock in answer["theirs"]] == ["b.ckpt"]


def test_locks_are_listed_page_by_page_and_found_by_path(state: State) -> None:
    ada = Caller(state, "ada")
    paths = [f"{number}.ckpt" for number in range(5)]
    for path in paths:
        ada.ask("POST", "locks", {"path": path})
    seen: list[str] = []
    query = "limit=2"
    while True:
        _, page = ada.ask("GET", "locks", query=query)
        seen += [lock["path"] for lock in page["locks"]]
        if "next_cursor" not in page:
            break
        query = f"limit=2&cursor={page['next_cursor']}"
    assert seen == paths
    assert [lock["path"] for lock in ada.ask("GET", "locks", query="path=3.ckpt")[1]["locks"]] == ["3.ckpt"]
    assert ada.ask("GET", "locks", query="path=none")[1]["locks"] == []
    assert ada.ask("GET", "locks", query="limit=0")[0] == 422
    assert ada.ask("GET", "locks", query="cursor=wrong")[0] == 422


def test_only_force_takes_somebody_elses_lock(state: State) -> None:
    ada, bob = Caller(state, "ada"), Caller(state, "bob")
    _, made = ada.ask("POST", "locks", {"path": "a.ckpt"})
    unlock = f"locks/{made['lock']['id']}/unlock"
    assert bob.ask("POST", unlock, {"force": False})[0] == 403
    assert bob.ask("POST", unlock, {"force": True})[0] == 200
    assert ada.ask("POST", unlock, {})[0] == 404
    assert bob.ask("POST", "locks", {"path": "a.ckpt"})[0] == 201


def test_a_stranger_may_look_but_not_lock(state: State) -> None:
    eve = Caller(state, "eve")
    assert eve.ask("GET", "locks")[0] == 200
    assert eve.ask("POST", "locks", {"path": "a.ckpt"})[0] == 403
    assert eve.ask("POST", "locks/verify", {})[0] == 403
