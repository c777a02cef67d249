"""The tutorial's git and Git LFS steps against the whole embedded stack: the real function behind the real route."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from e2e.calls import call
from unit.githost.little_stack import Person, client, needs_git_lfs

from infra.local.stack import Stack
from trainyard.model.repository import Scope
from trainyard.store.access import issue_token
from trainyard.store.layout import content_key
from trainyard.store.table import Table

pytestmark = [pytest.mark.e2e, needs_git_lfs]


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    table = Table(stack.addresses.outputs["TableName"], client("dynamodb", stack.addresses.endpoint))
    return issue_token(table, "ada", [Scope.READ, Scope.WRITE])[0]


@pytest.fixture
def person(stack: Stack, token: str, tmp_path: Path) -> Person:
    made = Person(tmp_path / "home")
    made.remember(f"http://ada:{token}@{stack.addresses.git.removeprefix('http://')}")
    return made


def create(stack: Stack, token: str, name: str, kind: str) -> str:
    """The clone address of a new repository."""
    status, made = call(stack, token, "POST", "/v1/repositories", {"name": name, "kind": kind})
    assert status == 201
    return str(made["repository"]["clone_url"])


def test_a_model_with_a_checkpoint_there_and_back(stack: Stack, token: str, person: Person) -> None:
    address = create(stack, token, "ada/model", "model")
    person.run(f"git clone {address} && git lfs install")
    work = person.home / "model"
    checkpoint = os.urandom(20_000_000)
    (work / "lenet-1_1875.ckpt").write_bytes(checkpoint)
    for command in ('git lfs track "*.ckpt"', "git add .", 'git commit -m "xxx"', "git push"):
        person.run(command, work)
    person.run(f"git clone {address} again")
    assert (person.home / "again/lenet-1_1875.ckpt").read_bytes() == checkpoint
    stored = client("s3", stack.addresses.endpoint).get_object(
        Bucket=stack.addresses.outputs["BucketName"],
        Key=content_key("ada/model", hashlib.sha256(checkpoint).hexdigest()),
    )
    assert stored["Body"].read() == checkpoint
    person.run("git lfs lock lenet-1_1875.ckpt && git lfs unlock lenet-1_1875.ckpt", work)


def test_a_project_refuses_lfs_and_large_files(stack: Stack, token: str, person: Person) -> None:
    person.run(f"git clone {create(stack, token, 'ada/code', 'project')} && git lfs install")
    work = person.home / "code"
    person.run('git lfs track "*.ckpt"', work)
    (work / "a.ckpt").write_bytes(b"x" * 300_000)
    person.run("git add . && git commit -m large", work)
    refused = person.run("git push", work, expect=None)
    assert refused.returncode != 0
    assert "项目仓库不支持 Git LFS" in refused.stderr
    person.run("git lfs untrack '*.ckpt' && git add --renormalize . && git commit --amend -m large", work)
    assert "a.ckpt (293.0 KB)" in person.run("git push", work, expect=1).stderr


def test_what_no_branch_refers_to_any_more_is_found(stack: Stack, person: Person, token: str) -> None:
    address = create(stack, token, "ada/set", "dataset")
    person.run(f"git clone {address} && git lfs install")
    work = person.home / "set"
    person.run('git lfs track "*.bin"', work)
    for branch, content in (("main", b"kept"), ("gone", b"gone")):
        person.run(f"git checkout -q -B {branch}", work)
        (work / "a.bin").write_bytes(content)
        person.run(f"git add . && git commit -qm {branch} && git push -u origin {branch}", work)
    person.run("git push origin --delete gone", work)
    storage = "/v1/repositories/ada/set/storage"
    status, asked = call(stack, token, "POST", f"{storage}/inspect")
    assert status == 202
    report = None
    deadline = time.monotonic() + 30
    while report is None and time.monotonic() < deadline:
        time.sleep(0.2)
        report = call(stack, token, "GET", storage)[1]["report"]
    assert report is not None
    assert report["at"] >= asked["asked_at"]
    # Young ones are not listed: their push may still be on its way.
    assert (report["files"], report["recent"], report["unreferenced"], report["failed"]) == (2, 1, [], False)
    key = content_key("ada/set", hashlib.sha256(b"gone").hexdigest())
    wanted = {"report": report["at"], "keys": [key]}
    # Only what the report shows can be removed, and a young object it does not show.
    status, refused = call(stack, token, "POST", f"{storage}/remove-unreferenced", wanted)
    assert (status, refused["code"]) == (422, "invalid_input")
