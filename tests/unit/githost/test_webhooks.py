from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.githost.little_stack import Api, LittleStack, Person

from infra.local.githost.git import Git
from infra.local.githost.webhooks import Webhooks
from trainyard.hosts.contract import Delivery, Ignored, Ping, Pushed
from trainyard.hosts.github import GitHub
from trainyard.model.repository import RepositoryKind
from trainyard.store.secrets import webhook_secret_name


def deliveries(stack: LittleStack, name: str, count: int) -> list[Delivery]:
    """What the production code makes of the webhooks, each verified, in the order of arrival."""
    stack.api.wait_for(lambda hooks: len(hooks) >= count)
    secret = stack.state.secrets.get(webhook_secret_name(name))
    assert secret
    read = []
    for path, headers, body in stack.api.hooks:
        assert path == f"/hooks/github/{name}"
        GitHub().verify(headers, body, secret)
        read.append(GitHub().read(headers, body))
    return read


def payloads(stack: LittleStack, count: int) -> list[dict]:
    stack.api.wait_for(lambda hooks: len(hooks) >= count)
    return [json.loads(body) for _, _, body in stack.api.hooks]


@pytest.fixture
def work(stack: LittleStack, person: Person) -> Path:
    stack.create("ada/work")
    stack.api.wait_for(lambda hooks: len(hooks) == 1)
    person.run(f"git clone {stack.address('ada/work', 'ada', stack.token('ada'))}")
    person.run("git commit --allow-empty -m first", person.home / "work")
    return person.home / "work"


def test_creation_pings_and_a_push_is_told_with_its_commit(stack: LittleStack, person: Person, work: Path) -> None:
    person.run("git push", work)
    head = person.run("git rev-parse HEAD", work).stdout.strip()
    ping, push = deliveries(stack, "ada/work", 2)
    assert isinstance(ping, Ping)
    assert isinstance(push, Pushed)
    [ref] = push.refs
    assert (ref.ref, ref.before, ref.after, ref.pusher) == ("refs/heads/main", None, head, "ada")
    assert ref.delivery


def test_branches_tags_force_and_delete(stack: LittleStack, person: Person, work: Path) -> None:
    person.run("git push", work)
    stack.api.wait_for(lambda hooks: len(hooks) == 2)
    person.run("git commit --amend --allow-empty -m again && git push --force", work)
    stack.api.wait_for(lambda hooks: len(hooks) == 3)
    person.run("git tag -a v1 -m one && git push origin v1", work)
    stack.api.wait_for(lambda hooks: len(hooks) == 4)
    person.run("git push origin :v1", work)
    head = person.run("git rev-parse HEAD", work).stdout.strip()
    _, _, forced, tag, deleted = deliveries(stack, "ada/work", 5)
    assert isinstance(forced, Pushed)
    assert isinstance(tag, Pushed)
    assert isinstance(deleted, Ignored)
    assert forced.refs[0].after == head
    assert (tag.refs[0].ref, tag.refs[0].after) == ("refs/tags/v1", head)
    assert [payload["forced"] for payload in payloads(stack, 5)[1:]] == [False, True, False, False]


def test_the_payload_lists_the_new_commits_oldest_first(stack: LittleStack, person: Person, work: Path) -> None:
    person.run("git push", work)
    stack.api.wait_for(lambda hooks: len(hooks) == 2)
    person.run("git commit --allow-empty -m 二 && git commit --allow-empty -m three && git push", work)
    payload = payloads(stack, 3)[2]
    assert [commit["message"] for commit in payload["commits"]] == ["二", "three"]
    assert payload["head_commit"] == payload["commits"][-1]
    assert payload["head_commit"]["id"] == payload["after"]


def test_a_refused_push_and_a_model_tell_nothing(stack: LittleStack, person: Person, work: Path) -> None:
    (work / "large.bin").write_bytes(b"x" * 204_801)
    person.run("git add . && git commit -m large", work)
    person.run("git push", work, expect=1)
    stack.create("ada/model", RepositoryKind.MODEL)
    person.run(f"git push {stack.address('ada/model', 'ada', stack.token('ada'))} HEAD~1:refs/heads/main", work)
    person.run("git reset --hard HEAD~1 && git push", work)
    assert len(deliveries(stack, "ada/work", 2)) == 2


def test_a_webhook_that_fails_is_sent_again_as_the_same_delivery(
    stack: LittleStack, person: Person, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.githost.webhooks.PAUSES_SECONDS", (0.01, 0.01, 0.01))
    stack.api.hook_answers = [500, 503]
    person.run("git push", work)
    stack.api.wait_for(lambda hooks: len(hooks) == 4)
    assert len({headers["x-github-delivery"] for _, headers, _ in stack.api.hooks[1:]}) == 1
    assert len({body for _, _, body in stack.api.hooks[1:]}) == 1


def test_what_was_not_delivered_is_delivered_after_a_restart(
    stack: LittleStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.state.secrets.put(webhook_secret_name("ada/work"), "s")
    nobody = Webhooks(tmp_path, "http://127.0.0.1:1", stack.state.secrets)
    delivery = nobody.send("ada/work", "push", {"ref": "refs/heads/main"})
    nobody.stop()
    Api.wait_for(stack.api, lambda hooks: not hooks)
    restarted = Webhooks(tmp_path, stack.api_address, stack.state.secrets)
    restarted.start()
    stack.api.wait_for(lambda hooks: len(hooks) == 1)
    restarted.stop()
    assert stack.api.hooks[0][1]["x-github-delivery"] == delivery
    assert not list((tmp_path / "outbox").glob("*.json"))


def test_deliveries_are_kept_in_a_log(stack: LittleStack, person: Person, work: Path) -> None:
    person.run("git push", work)
    stack.api.wait_for(lambda hooks: len(hooks) == 2)
    stack.host.webhooks.stop()
    log = [json.loads(line) for line in (stack.root / "deliveries.jsonl").read_text().splitlines()]
    assert [(entry["event"], entry["outcome"], entry["try"]) for entry in log] == [("ping", 202, 1), ("push", 202, 1)]


def test_git_reads_nothing_of_this_machine(tmp_path: Path) -> None:
    git = Git(tmp_path)
    assert "HOME" not in git.environment()
    listed = git.run(None, "config", "--list", "--show-origin").stdout.decode().splitlines()
    assert listed
    assert all(line.startswith(f"file:{tmp_path}") for line in listed)
