"""The tutorial's git and Git LFS steps against the whole embedded stack: the real function behind the real route."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from e2e.calls import call
from unit.githost.little_stack import Person, needs_git_lfs
from unit.lfs.presigned import changed, put, request

from infra.local.emulator.client import client
from infra.local.inside import new_token, state_of
from infra.local.stack import Stack
from trainyard.model.storage import StorageReport, UnfinishedUpload
from trainyard.model.text import Text
from trainyard.store.layout import content_key, storage_report_key
from trainyard.store.objects import Objects

pytestmark = [pytest.mark.e2e, needs_git_lfs]


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return new_token(stack.addresses, "ada")


@pytest.fixture
def person(stack: Stack, token: str, tmp_path: Path) -> Person:
    made = Person(tmp_path / "home")
    made.remember(f"http://ada:{token}@{stack.addresses.git.removeprefix('http://')}")
    return made


def token_of(stack: Stack, user: str) -> str:
    return new_token(stack.addresses, user)


def bucket(stack: Stack) -> Objects:
    return state_of(stack.addresses).objects


def tracked_clone(person: Person, address: str) -> Path:
    person.run(f"git clone {address} work && git lfs install && cd work && git lfs track '*.bin'")
    return person.home / "work"


def begin_upload(stack: Stack, key: str) -> str:
    """An upload in parts that nobody finishes; its id."""
    s3, target = client(stack.addresses.endpoint, "s3"), {"Bucket": bucket(stack).bucket, "Key": key}
    upload = s3.create_multipart_upload(**target)["UploadId"]
    s3.upload_part(**target, UploadId=upload, PartNumber=1, Body=b"1")
    return str(upload)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ask(stack: Stack, user: str, repository: str, operation: str, contents: list[bytes]) -> tuple[int, dict[str, Any]]:
    """Status and answer of the Git LFS batch API at the clone address, asked by `user`."""
    wanted = [{"oid": hashlib.sha256(content).hexdigest(), "size": len(content)} for content in contents]
    who = base64.b64encode(f"{user}:{token_of(stack, user)}".encode()).decode()
    asked = urllib.request.Request(
        f"{stack.addresses.git}/{repository}.git/info/lfs/objects/batch",
        json.dumps({"operation": operation, "objects": wanted}).encode(),
        {"Authorization": f"Basic {who}", "Content-Type": "application/vnd.git-lfs+json"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def batch(stack: Stack, user: str, repository: str, operation: str, contents: list[bytes]) -> list[dict[str, Any]]:
    """The action for each content: its address and headers."""
    status, answer = ask(stack, user, repository, operation, contents)
    assert status == 200
    return [each["actions"][operation] for each in answer["objects"]]


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
    assert bucket(stack).get(content_key("ada/model", hashlib.sha256(checkpoint).hexdigest())) == checkpoint
    person.run("git lfs lock lenet-1_1875.ckpt && git lfs unlock lenet-1_1875.ckpt", work)


def test_many_files_there_and_back(stack: Stack, token: str, person: Person) -> None:
    address = create(stack, token, "ada/many", "dataset")
    work = tracked_clone(person, address)
    contents = {f"{number:04d}.bin": os.urandom(1000 + number) for number in range(250)}
    for name, content in contents.items():
        (work / name).write_bytes(content)
    person.run("git add . && git commit -qm files && git push", work)
    person.run(f"git clone {address} again")
    assert {path.name: path.read_bytes() for path in (person.home / "again").glob("*.bin")} == contents


def test_500_mb_there_and_back(stack: Stack, token: str, person: Person) -> None:
    address = create(stack, token, "ada/large", "model")
    work = tracked_clone(person, address)
    with (work / "large.bin").open("wb") as file:
        for _ in range(500):
            file.write(os.urandom(1_000_000))
    person.run("git add . && git commit -qm large && git push", work)
    person.run(f"git clone {address} again")
    digests = {sha256(folder / "large.bin") for folder in (work, person.home / "again")}
    assert len(digests) == 1
    objects = bucket(stack)
    key = content_key("ada/large", digests.pop())
    assert objects.size(key) == 500_000_000
    shutil.rmtree(person.home)
    for stored in list(objects.find(key)):  # this S3 keeps its objects in memory
        assert objects.delete_version(stored)


def test_a_push_of_damaged_bytes_is_refused(stack: Stack, token: str, person: Person) -> None:
    work = tracked_clone(person, create(stack, token, "ada/damaged", "model"))
    content = os.urandom(1000)
    (work / "a.bin").write_bytes(content)
    person.run("git config lfs.transfer.maxretries 1 && git add . && git commit -qm one", work)
    (local,) = (path for path in (work / ".git/lfs/objects").rglob("*") if path.is_file())
    local.chmod(0o600)
    local.write_bytes(content[::-1])
    assert person.run("git push", work, expect=None).returncode != 0
    assert list(bucket(stack).find("lfs/ada/damaged/")) == []
    local.write_bytes(content)
    person.run("git push", work)
    assert bucket(stack).get(content_key("ada/damaged", hashlib.sha256(content).hexdigest())) == content


def test_addresses_are_good_for_what_was_asked_alone(stack: Stack, token: str) -> None:
    """What the function answers, with its own role's session: nothing else can be done with it."""
    for name in ("ada/mine", "ada/other"):
        create(stack, token, name, "model")
    create(stack, token_of(stack, "bob"), "bob/his", "model")
    content, swapped = b"weights", b"sthgiew"
    mine, of_swapped = batch(stack, "ada", "ada/mine", "upload", [content, swapped])
    address, headers = mine["href"], mine["header"]
    key = content_key("ada/mine", hashlib.sha256(content).hexdigest())
    assert key in address
    assert put(address, swapped, headers) == 400, "tampered"
    assert put(of_swapped["href"], content, of_swapped["header"]) == 400, "swapped"
    assert put(address, swapped, of_swapped["header"]) == 403, "a swapped checksum"
    assert put(address, content, {**headers, "x-amz-meta-a": "b"}) == 403, "more headers"
    assert put(changed(address, "X-Amz-Expires", "100000"), content, headers) == 403, "a longer time"
    assert put(address.replace("/ada/mine/", "/bob/his/"), content, headers) == 403, "another's repository"
    assert put(address.replace("/ada/mine/", "/ada/other/"), content, headers) == 403, "one's own other repository"
    assert put(address.partition("?")[0], content, headers) == 403, "no signature"
    s3 = client(stack.addresses.endpoint, "s3", signature_version="s3v4")
    ended = Objects(bucket(stack).bucket, s3).upload_address(
        key, len(content), hashlib.sha256(content).hexdigest(), seconds=1
    )[0]
    time.sleep(2.1)
    assert put(ended, content, headers) == 403, "its time is over"
    assert [entry for name in ("ada/", "bob/") for entry in bucket(stack).find(f"lfs/{name}") if entry.key == key] == []
    assert put(address, content, headers) == 200
    (download,) = batch(stack, "ada", "ada/mine", "download", [content])
    assert request("GET", download["href"]) == 200
    assert request("GET", download["href"].replace("/ada/mine/", "/ada/other/")) == 403
    assert request("DELETE", download["href"]) == 403
    # Only who may read the repository is given an address, and knowing an object's id opens no other repository.
    status, _ = ask(stack, "bob", "ada/mine", "upload", [content])
    assert status == 404
    (refused,) = ask(stack, "bob", "bob/his", "download", [content])[1]["objects"]
    assert refused["error"]["code"] == 404


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
    upload = begin_upload(stack, "lfs/ada/set/never-finished")
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
    assert (report["uploads_under_way"], report["unfinished_uploads"]) == (1, [])
    key = content_key("ada/set", hashlib.sha256(b"gone").hexdigest())
    wanted = {"report": report["at"], "keys": [key]}
    # Only what the report shows can be removed, and a young object it does not show.
    status, refused = call(stack, token, "POST", f"{storage}/remove-unreferenced", wanted)
    assert (status, refused["code"]) == (422, "invalid_input")
    assert upload in {each.id for each in bucket(stack).uploads("lfs/ada/set/")}


def test_an_upload_that_nobody_finished_is_given_up_on_request(stack: Stack, token: str) -> None:
    create(stack, token, "ada/unfinished", "dataset")
    key = "lfs/ada/unfinished/never-finished"
    upload = begin_upload(stack, key)
    arrived = bucket(stack).arrived(key, upload)
    assert arrived is not None
    assert arrived.last is not None
    at = arrived.last
    # No test can wait for a day; what an inspection would say then.
    found = UnfinishedUpload(upload=upload, key=key, size=arrived.size, begun=at, touched=at)
    report = StorageReport(
        repository="ada/unfinished", at=at, files=0, bytes=0, recent=0, reason=Text(en="-", zh="-"),
        unfinished_uploads=[found],
    )  # fmt: skip
    bucket(stack).put(storage_report_key("ada/unfinished"), report.model_dump_json().encode())
    wanted = {"report": at.isoformat(), "uploads": [upload]}
    storage = "/v1/repositories/ada/unfinished/storage"
    status, _ = call(stack, token, "POST", f"{storage}/remove-unreferenced", wanted)
    assert status == 202
    assert list(bucket(stack).uploads("lfs/ada/unfinished/")) == []
