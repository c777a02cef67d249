"""The life of a repository on the whole embedded stack, every function with its own role alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from e2e.calls import call
from unit.githost.little_stack import Person, client
from unit.validation.git_rig import git

from infra.local.inside import new_token
from infra.local.stack import Stack

pytestmark = pytest.mark.e2e
NAME = "eve/lenet5"
SECONDS = 30.0


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return new_token(stack.addresses, "eve")


def sweep(stack: Stack) -> Any:
    answer = client("lambda", stack.addresses.endpoint).invoke(FunctionName=stack.addresses.functions["Sweep"])
    done = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, done
    return done


def commits_of_runs(stack: Stack, token: str, at_least: int) -> list[str]:
    """Of the project's runs, the latest first; waits until there are as many."""
    deadline = time.monotonic() + SECONDS
    while True:
        status, listed = call(stack, token, "GET", f"/v1/projects/{NAME}/runs")
        assert status == 200
        if len(listed["runs"]) >= at_least or time.monotonic() > deadline:
            return [run["commit"] for run in listed["runs"]]
        time.sleep(0.3)


def test_made_pushed_to_swept_removed_and_made_anew(stack: Stack, token: str, tmp_path: Path) -> None:
    project = {"name": NAME, "visibility": "private"}
    status, made = call(stack, token, "POST", "/v1/projects", project)
    assert status == 201
    assert call(stack, token, "POST", "/v1/projects", project) == (200, made)
    address = made["repository"]["clone_url"]
    person = Person(tmp_path / "home")
    person.remember(f"http://eve:{token}@{stack.addresses.git.removeprefix('http://')}")
    person.run(f"git clone {address} work")
    work = person.home / "work"
    (work / "train.py").write_text("print(1)\n")
    person.run("git add . && git commit -m first && git push", work)
    first = person.run("git rev-parse HEAD", work).stdout.strip()
    assert commits_of_runs(stack, token, 1) == [first]
    assert sweep(stack)["pushes"]["found"] == 0

    # A push that nobody tells of: it bypasses the host's hooks.
    bare = stack.folder / "git" / "repositories" / f"{NAME}.git"
    second = git(bare, "commit-tree", "main^{tree}", "-p", first, "-m", "second")
    git(bare, "update-ref", "refs/heads/main", second)
    assert sweep(stack)["pushes"]["found"] == 1
    assert sweep(stack)["pushes"]["found"] == 0
    assert commits_of_runs(stack, token, 2) == [second, first]

    bob = new_token(stack.addresses, "bob")
    assert call(stack, token, "PUT", f"/v1/repositories/{NAME}/members/bob")[0] == 200
    assert [one["full_name"] for one in call(stack, bob, "GET", "/v1/projects")[1]["projects"]] == [NAME]

    status, refused = call(stack, token, "DELETE", f"/v1/repositories/{NAME}")
    assert (status, refused["code"], refused["details"]["lost"]["runs"]) == (409, "confirmation_needed", 2)
    assert call(stack, token, "DELETE", f"/v1/repositories/{NAME}?confirm={NAME}") == (
        200,
        {"finished": True, "stays": None},
    )
    assert call(stack, token, "GET", f"/v1/repositories/{NAME}")[0] == 404
    assert call(stack, bob, "GET", "/v1/projects")[1]["projects"] == []
    assert call(stack, token, "POST", "/v1/projects", project)[0] == 201
    time.sleep(2.5)  # as long as the git host may remember a row
    assert person.run(f"git ls-remote {address}").stdout == ""
    person.run("git push", work)
    assert commits_of_runs(stack, token, 1) == [first]
    status, run = call(stack, token, "GET", f"/v1/projects/{NAME}/runs")
    assert "commit-unavailable" not in json.dumps(
        call(stack, token, "GET", f"/v1/runs/{run['runs'][0]['id']}/findings")
    )
