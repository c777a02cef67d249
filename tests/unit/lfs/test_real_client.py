"""git-lfs itself as the client, S3's checks between it and the store."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from unit.githost.little_stack import LittleStack, Person, little_stack, needs_git_lfs

from trainyard.model.repository import RepositoryKind

pytestmark = needs_git_lfs


def tracked_clone(stack: LittleStack, person: Person, name: str) -> Path:
    person.remember(stack.address(name, "ada", stack.token("ada")))
    person.run(f"git clone {stack.address(name)} && git lfs install")
    work = person.home / name.split("/")[1]
    person.run('git lfs track "*.bin"', work)
    return work


large = pytest.mark.skipif("TRAINYARD_LARGE_TESTS" not in os.environ, reason="set TRAINYARD_LARGE_TESTS=1 to run it")


@pytest.mark.parametrize("count", [110, pytest.param(2000, marks=large)])  # git-lfs asks for 100 at a time
def test_many_files_there_and_back(stack: LittleStack, person: Person, count: int) -> None:
    stack.create("ada/set", RepositoryKind.DATASET)
    work = tracked_clone(stack, person, "ada/set")
    contents = {f"{number:04d}.bin": os.urandom(1000 + number) for number in range(count)}
    for name, content in contents.items():
        (work / name).write_bytes(content)
    person.run("git add . && git commit -q -m files && git push", work)
    person.run(f"git clone {stack.address('ada/set')} again")
    again = person.home / "again"
    assert {name: (again / name).read_bytes() for name in contents} == contents
    person.run("git push", work)  # nothing left to send


def test_a_project_takes_no_lfs_and_says_where_it_belongs(stack: LittleStack, person: Person) -> None:
    stack.create("ada/code")
    work = tracked_clone(stack, person, "ada/code")
    (work / "a.bin").write_bytes(b"x" * 300_000)
    person.run("git add . && git commit -m large", work)
    refused = person.run("git push", work, expect=None)
    assert refused.returncode != 0
    assert "model or dataset repository" in refused.stderr
    assert "项目仓库不支持 Git LFS" in refused.stderr


def test_a_full_repository_says_so(aws: str, tmp_path: Path, person: Person) -> None:
    with little_stack(tmp_path / "host", aws, f"t{uuid.uuid4().hex[:12]}", quota=1_000_000) as stack:
        stack.create("ada/set", RepositoryKind.DATASET)
        work = tracked_clone(stack, person, "ada/set")
        (work / "a.bin").write_bytes(os.urandom(1_000_001))
        person.run("git add . && git commit -m large", work)
        refused = person.run("git push", work, expect=None)
        assert refused.returncode != 0
        assert "at most 0.001 GB" in refused.stderr


def test_locks_of_others_stop_a_push(stack: LittleStack, person: Person, tmp_path: Path) -> None:
    stack.create("ada/set", RepositoryKind.DATASET, members=["bob"])
    work = tracked_clone(stack, person, "ada/set")
    (work / "a.bin").write_bytes(b"1")
    person.run("git add . && git commit -m one && git push && git lfs lock a.bin", work)
    assert "a.bin" in person.run("git lfs locks", work).stdout
    bob = Person(tmp_path / "bob")
    bob.remember(stack.address("ada/set", "bob", stack.token("bob")))
    bob.run(f"git clone {stack.address('ada/set')} && git lfs install")
    his = bob.home / "set"
    (his / "a.bin").write_bytes(b"2")
    bob.run("git config lfs.locksverify true && git commit -a -m two", his)
    assert "ada" in bob.run("git push", his, expect=1).stderr
    person.run("git lfs unlock a.bin", work)
    bob.run("git push", his)
