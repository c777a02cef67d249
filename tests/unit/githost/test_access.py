from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from unit.githost.little_stack import LittleStack, Person

from trainyard.model.repository import Repository, RepositoryKind, Scope, Visibility
from trainyard.store.access import issue_token
from trainyard.store.secrets import host_token_name, webhook_secret_name


def status_of(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_public_repository_is_read_by_all_and_written_by_its_members(stack: LittleStack, person: Person) -> None:
    stack.create("ada/open", visibility=Visibility.PUBLIC, members=["bob"])
    person.run(f"git clone {stack.address('ada/open')}")
    work = person.home / "open"
    person.run("git commit --allow-empty -m first", work)
    assert "could not read Username" in person.run("git push", work, expect=128).stderr
    eve = person.run(f"git push {stack.address('ada/open', 'eve', stack.token('eve'))} main", work, expect=128)
    assert "eve may not push to ada/open" in eve.stderr
    assert "没有 ada/open 的写权限" in eve.stderr
    person.run(f"git push {stack.address('ada/open', 'bob', stack.token('bob'))} main", work)


def test_a_private_repository_looks_like_none_to_others(stack: LittleStack, person: Person) -> None:
    stack.create("ada/secret", visibility=Visibility.PRIVATE)
    assert status_of(f"{stack.address('ada/secret')}/info/refs?service=git-upload-pack") == 401
    assert status_of(f"{stack.address('ada/none')}/info/refs?service=git-upload-pack") == 401
    token = stack.token("eve")
    answers = {
        person.run(f"git ls-remote {stack.address(name, 'eve', token)}", expect=128).stderr.replace(name, "NAME")
        for name in ("ada/secret", "ada/none")
    }
    assert len(answers) == 1
    assert "There is no repository NAME" in answers.pop()
    person.run(f"git ls-remote {stack.address('ada/secret', 'ada', stack.token('ada'))}")


def test_wrong_expired_and_foreign_credentials_are_refused(stack: LittleStack, person: Person) -> None:
    stack.create("ada/work")
    expired, _ = issue_token(
        stack.state.table, "ada", [Scope.READ], expires_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    for user, token in (
        ("ada", "ty_wrong"),
        ("ada", stack.token("bob")),
        ("ada", expired),
        ("bob", stack.token("bob")),
    ):
        person.run(f"git ls-remote {stack.address('ada/work', user, token)}", expect=128)


@pytest.mark.parametrize(
    "header", ["Basic \u00e9", "Basic =", "Basic /w==", "Bearer", "token", "\u00ff\u00fe", "Digest x"]
)
def test_a_malformed_header_is_a_wrong_one(stack: LittleStack, header: str) -> None:
    request = urllib.request.Request(
        f"{stack.address('ada/work')}/info/refs?service=git-upload-pack", headers={"Authorization": header}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 401
    refused.value.close()


def test_a_token_that_may_only_read_cannot_push(stack: LittleStack, person: Person) -> None:
    stack.create("ada/work")
    person.run(f"git clone {stack.address('ada/work', 'ada', stack.token('ada', [Scope.READ]))}")
    person.run("git commit --allow-empty -m first", person.home / "work")
    assert "may only read" in person.run("git push", person.home / "work", expect=128).stderr


def test_a_revoked_token_ends_within_seconds(
    stack: LittleStack, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    monkeypatch.setattr("infra.local.githost.sign_in._KEPT_SECONDS", 0.0)
    stack.create("ada/work")
    secret, row = issue_token(stack.state.table, "ada", [Scope.READ])
    person.run(f"git ls-remote {stack.address('ada/work', 'ada', secret)}")
    stack.state.table.delete_token(row.digest)
    person.run(f"git ls-remote {stack.address('ada/work', 'ada', secret)}", expect=128)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ada/work.git/HEAD",
        "/ada/work.git/objects/info/packs",
        "/ada/work.git/info/refs",
        "/ada/work.git/info/refs?service=git-upload-archive",
        "/../ada/work.git/info/refs?service=git-upload-pack",
        "/ada/../../etc/info/refs?service=git-upload-pack",
        "/ada/%2e%2e/info/refs?service=git-upload-pack",
        "/ada/.new-work.git/info/refs?service=git-upload-pack",
        "/ada/work.git/git-receive-pack",
    ],
)
def test_only_smart_http_is_spoken_and_nothing_lies_outside(stack: LittleStack, path: str) -> None:
    stack.create("ada/work", visibility=Visibility.PUBLIC)
    assert status_of(stack.host.address + path) == 404


def test_a_row_that_the_api_wrote_gets_its_repository_when_first_asked_for(stack: LittleStack, person: Person) -> None:
    row = Repository(
        full_name="ada/later",
        kind=RepositoryKind.PROJECT,
        host="github",
        clone_url=f"{stack.host.address}/ada/later.git",
        owner="ada",
        default_branch="trunk",
        created_at=datetime.now(UTC),
    )
    stack.state.secrets.put(webhook_secret_name("ada/later"), "chosen by the API")
    stack.state.table.create_repository(row)
    person.run(f"git clone {stack.address('ada/later', 'ada', stack.token('ada'))}")
    person.run("git commit --allow-empty -m first && git push", person.home / "later")
    assert person.run("git branch --show-current", person.home / "later").stdout.strip() == "trunk"
    assert stack.state.secrets.get(webhook_secret_name("ada/later")) == "chosen by the API"
    assert stack.state.secrets.get(host_token_name("ada/later"))


def test_a_row_of_another_host_is_not_served(stack: LittleStack, person: Person) -> None:
    row = Repository(
        full_name="ada/elsewhere",
        kind=RepositoryKind.PROJECT,
        host="github",
        clone_url="https://github.com/ada/elsewhere.git",
        owner="ada",
        created_at=datetime.now(UTC),
    )
    stack.state.table.create_repository(row)
    person.run(f"git ls-remote {stack.address('ada/elsewhere', 'ada', stack.token('ada'))}", expect=128)


def test_a_commit_is_fetched_alone_and_without_its_large_files(stack: LittleStack, person: Person) -> None:
    """As validation does it: by id, shallow, partial, with the host's own token."""
    stack.create("ada/work")
    person.run(f"git clone {stack.address('ada/work', 'ada', stack.token('ada'))}")
    work = person.home / "work"
    (work / "a.bin").write_bytes(b"x" * 150_000)
    (work / "a.txt").write_text("a")
    person.run("git add . && git commit -m first && git commit --allow-empty -m second && git push", work)
    first = person.run("git rev-parse HEAD~1", work).stdout.strip()
    token = stack.state.secrets.get(host_token_name("ada/work"))
    assert token
    address = stack.address("ada/work", "x-access-token", token)
    person.run("git init -q --bare fetched")
    fetch = "git fetch -q --depth=1 --no-tags --filter=blob:limit=1000"
    person.run(f"{fetch} {address} {first}", person.home / "fetched")
    missing = person.run(f"git rev-list --objects --missing=print {first}", person.home / "fetched").stdout
    assert sum(line.startswith("?") for line in missing.splitlines()) == 1


def test_a_removed_repository_does_not_come_back_with_its_name(
    stack: LittleStack, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    monkeypatch.setattr("infra.local.githost.repositories._KEPT_SECONDS", 0.0)
    first = stack.create("ada/again")
    address = stack.address("ada/again", "ada", stack.token("ada"))
    person.run(f"git clone {address}")
    person.run("git commit --allow-empty -m secret && git push", person.home / "again")
    stack.state.table.delete_repository("ada/again")
    assert person.run(f"git ls-remote {address}", expect=128).returncode
    stack.state.table.create_repository(first.model_copy(update={"created_at": datetime.now(UTC)}))
    assert person.run(f"git ls-remote {address}").stdout == ""
