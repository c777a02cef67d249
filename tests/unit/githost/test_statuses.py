from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from unit.githost.little_stack import LittleStack, Person

from trainyard.hosts.contract import CommitState, CommitStatus, HostRefusedError
from trainyard.hosts.github import GitHub
from trainyard.model.repository import Repository
from trainyard.store.secrets import host_token_name


@pytest.fixture(autouse=True)
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainyard.model.settings import Settings

    monkeypatch.setattr("trainyard.hosts.addresses.settings", lambda: Settings(allow_loopback_http=True))


@pytest.fixture
def repository(stack: LittleStack) -> Repository:
    return stack.create("ada/work")


@pytest.fixture
def sha(stack: LittleStack, person: Person, repository: Repository) -> str:
    person.run(f"git clone {stack.address('ada/work', 'ada', stack.token('ada'))}")
    work: Path = person.home / "work"
    person.run("git commit --allow-empty -m first && git push", work)
    return person.run("git rev-parse HEAD", work).stdout.strip()


def call(stack: LittleStack, path: str, token: str, document: dict | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{stack.host.address}/api/repos/ada/work/{path}",
        json.dumps(document).encode() if document is not None else None,
        {"Authorization": f"token {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_what_is_reported_is_listed_newest_first(stack: LittleStack, repository: Repository, sha: str) -> None:
    token = stack.state.secrets.get(host_token_name("ada/work"))
    assert token
    for state, text in ((CommitState.PENDING, "queued"), (CommitState.SUCCESS, "accuracy 0.97")):
        status = CommitStatus(sha, state, "trainyard/lenet5", text, "http://127.0.0.1/runs/1")
        GitHub().report_status(repository, token, status)
    code, listed = call(stack, f"commits/{sha}/statuses", token)
    assert code == 200
    assert [(entry["state"], entry["description"]) for entry in listed] == [
        ("success", "accuracy 0.97"),
        ("pending", "queued"),
    ]
    assert listed[0]["context"] == "trainyard/lenet5"
    assert listed[0]["target_url"] == "http://127.0.0.1/runs/1"


def test_what_github_refuses_is_refused(stack: LittleStack, repository: Repository, sha: str) -> None:
    token = stack.token("ada")
    assert call(stack, f"statuses/{sha}", token, {"state": "great"})[0] == 422
    assert call(stack, f"statuses/{sha}", token, {"state": "success", "description": "x" * 141})[0] == 422
    assert call(stack, f"statuses/{'0' * 40}", token, {"state": "success"})[0] == 422
    assert call(stack, f"statuses/{sha}", stack.token("eve"), {"state": "success"})[0] == 404
    assert call(stack, f"statuses/{sha}", "wrong", {"state": "success"})[0] == 401
    assert call(stack, f"commits/{sha}/statuses", token) == (200, [])
    with pytest.raises(HostRefusedError):
        GitHub().report_status(repository, token, CommitStatus("0" * 40, CommitState.ERROR, "c", "", ""))
