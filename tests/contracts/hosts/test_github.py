from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from contracts.hosts.api_server import ApiServer, Received
from contracts.hosts.host_contract import STATUS, Sample, StatusContract, WebhookContract, payload, server  # noqa: F401

from trainyard.hosts.contract import CommitState, CommitStatus, Ignored, Pushed, PushedRef
from trainyard.hosts.registry import host
from trainyard.model.errors import InvalidInput, Unauthenticated

HEADERS = {
    "X-GitHub-Event": "push",
    "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "Content-Type": "application/json",
}
SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


def event(name: str, body: bytes) -> Sample:
    return Sample(HEADERS | {"X-GitHub-Event": name}, body)


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(payload("github/push_branch.json")) | changes).encode()


class TestGitHubWebhooks(WebhookContract):
    name = "github"

    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}

    def branch_push(self) -> tuple[Sample, PushedRef]:
        pushed = PushedRef("refs/heads/master", None, SHA, "Codertocat", HEADERS["X-GitHub-Delivery"])
        return event("push", payload("github/push_branch.json")), pushed

    def tag_push(self) -> tuple[Sample, PushedRef]:
        pushed = PushedRef("refs/tags/simple-tag", None, SHA, "Codertocat", HEADERS["X-GitHub-Delivery"])
        return event("push", payload("github/push_tag.json")), pushed

    def deletion(self) -> Sample:
        return event("push", payload("github/delete_tag.json"))

    def ping(self) -> Sample:
        return event("ping", payload("github/ping.json"))

    def other_event(self) -> Sample:
        return event("delete", b"{}")

    def test_the_published_vector(self) -> None:
        signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        headers = {"x-hub-signature-256": signature}
        self.host.verify(headers, b"Hello, World!", "It's a Secret to Everybody")
        with pytest.raises(Unauthenticated):
            self.host.verify(headers, b"Hello, World?", "It's a Secret to Everybody")

    def test_the_old_sha1_signature_is_not_enough(self) -> None:
        body = payload("github/push_branch.json")
        headers = {"X-Hub-Signature": "sha1=" + hmac.new(b"k", body, hashlib.sha1).hexdigest()}
        with pytest.raises(Unauthenticated):
            self.host.verify(headers, body, "k")

    def test_an_annotated_tag_stands_for_its_commit(self) -> None:
        body = changed(ref="refs/tags/v1", after="a" * 40, head_commit={"id": "c" * 40})
        read = self.host.read(HEADERS, body)
        assert isinstance(read, Pushed)
        assert read.refs[0].after == "c" * 40

    def test_other_refs_start_nothing(self) -> None:
        assert isinstance(self.host.read(HEADERS, changed(ref="refs/notes/commits")), Ignored)

    def test_reads_the_form_content_type(self) -> None:
        sample, pushed = self.branch_push()
        headers = sample.headers | {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"payload": sample.body.decode()}).encode()
        assert self.host.read(headers, body) == Pushed([pushed])
        with pytest.raises(InvalidInput):
            self.host.read(headers, b"a=1&b=2&c=3&d=4&e=5")


class TestGitHubStatuses(StatusContract):
    name = "github"
    clone_url = "https://github.com/octo/hello.git"
    hook_address = "/repos/octo/hello/hooks"

    def hook(self, received: Received) -> tuple[str, str]:
        assert received.headers["authorization"] == "Bearer s3cret"
        assert (received.payload["events"], received.payload["config"]["content_type"]) == (["push"], "json")
        return received.payload["config"]["url"], received.payload["config"]["secret"]

    def told(self, received: Received) -> CommitStatus:
        assert received.method == "POST"
        assert received.headers["authorization"] == "Bearer s3cret"
        root, _, sha = received.path.rpartition("/")
        assert root == "/repos/octo/hello/statuses"
        told = received.payload
        return CommitStatus(sha, CommitState(told["state"]), told["context"], told["description"], told["target_url"])

    def test_an_enterprise_root_keeps_its_path(self, server: ApiServer) -> None:  # noqa: F811
        host("github").report_status(self.repository(api_url=f"{server.url}/api/v3/"), "s3cret", STATUS)
        assert server.received[0].path == f"/api/v3/repos/octo/hello/statuses/{STATUS.sha}"
