from __future__ import annotations

from pathlib import Path

import pytest
from unit.githost.little_stack import LittleStack, Person

from trainyard.model.repository import RepositoryKind

LIMIT = 204_800
POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.fixture
def work(stack: LittleStack, person: Person, request: pytest.FixtureRequest) -> Path:
    """A clone of Ada's new repository, a project unless the test says otherwise."""
    kind = getattr(request, "param", RepositoryKind.PROJECT)
    stack.create("ada/work", kind)
    person.run(f"git clone {stack.address('ada/work', 'ada', stack.token('ada'))}")
    return person.home / "work"


def commit(person: Person, work: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)
    person.run("git add . && git commit -m change", work)


def refused(person: Person, work: Path, command: str = "git push") -> str:
    done = person.run(command, work, expect=None)
    assert done.returncode != 0
    assert "pre-receive hook declined" in done.stderr
    return done.stderr


def test_200_kb_pass_and_one_byte_more_is_refused_until_it_is_taken_out(person: Person, work: Path) -> None:
    commit(person, work, {"limit.bin": b"x" * LIMIT})
    person.run("git push", work)
    commit(person, work, {"large.bin": b"x" * (LIMIT + 1), "train.py": b"pass\n"})
    message = refused(person, work)
    assert "large.bin (200.0 KB)" in message
    assert "limit.bin" not in message
    assert "git rm --cached" in message
    assert "推送被拒绝" in message
    person.run("git rm --cached large.bin && git commit --amend -m change && git push", work)


def test_a_large_file_of_an_earlier_commit_counts(person: Person, work: Path) -> None:
    commit(person, work, {"large.bin": b"x" * (LIMIT + 1)})
    person.run("git rm large.bin && git commit -m gone", work)
    assert "large.bin" in refused(person, work)


def test_every_branch_and_tag_of_a_push_is_checked(person: Person, work: Path) -> None:
    commit(person, work, {"a.txt": b"a"})
    person.run("git push && git checkout -b other", work)
    commit(person, work, {"large.bin": b"x" * (LIMIT + 1)})
    person.run("git tag -a v1 -m v1", work)
    assert "large.bin" in refused(person, work, "git push origin v1")
    assert "large.bin" in refused(person, work, "git push origin other main")


def test_lfs_is_refused_in_a_project_even_without_its_client(person: Person, work: Path) -> None:
    commit(person, work, {".gitattributes": b"*.ckpt filter=lfs diff=lfs merge=lfs -text\n"})
    assert ".gitattributes" in refused(person, work)
    (work / ".gitattributes").unlink()
    commit(person, work, {"lenet.ckpt": POINTER.encode()})
    message = refused(person, work)
    assert "lenet.ckpt" in message
    assert "项目仓库不支持 Git LFS" in message
    assert "git lfs untrack" in message


def test_attributes_that_were_corrected_in_a_later_commit_pass(person: Person, work: Path) -> None:
    commit(person, work, {"sub/.gitattributes": b"*.ckpt filter=lfs -text\n"})
    commit(person, work, {"sub/.gitattributes": b"# *.ckpt filter=lfs\n*.txt text\n"})
    person.run("git push", work)


@pytest.mark.parametrize("work", [RepositoryKind.MODEL, RepositoryKind.DATASET], indirect=True)
def test_models_and_data_sets_may_use_lfs_and_are_told_how(person: Person, work: Path) -> None:
    commit(person, work, {".gitattributes": b"*.ckpt filter=lfs -text\n"})
    person.run("git push", work)
    commit(person, work, {"weights.bin": b"x" * (LIMIT + 1)})
    message = refused(person, work)
    assert 'git lfs track "*.bin"' in message
    assert "Git LFS 管理" in message


def test_names_from_the_pusher_do_not_steer_a_terminal(person: Person, work: Path) -> None:
    commit(person, work, {"ev\x1bil \u202e名.bin": b"x" * (LIMIT + 1)})
    message = refused(person, work)
    assert "ev?il ?名.bin" in message


def test_force_push_and_delete_are_allowed(person: Person, work: Path) -> None:
    commit(person, work, {"a.txt": b"a"})
    person.run("git push && git push origin main:other && git push origin :other", work)
    person.run("git commit --amend -m rewritten && git push --force", work)
