from __future__ import annotations

import hashlib
import hmac
import json

from contracts.hosts.api_server import Received
from contracts.hosts.host_contract import Sample, StatusContract, WebhookContract, payload, server  # noqa: F401

from trainyard.hosts.contract import CommitState, CommitStatus, PushedRef

SHA, BEFORE = "bffeb74224043ba2feb48d137756c8a9331c449a", "28e1879d029cb852e4844d9c718537df08844e03"
UUID = "f6266f16-1bf3-46a5-9ea4-602e06ead473"


class TestGiteaWebhooks(WebhookContract):
    name = "gitea"
    brand = "Gitea"

    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return {f"X-{self.brand}-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}

    def event(self, name: str, file: str) -> Sample:
        headers = {f"X-{self.brand}-Event": name, f"X-{self.brand}-Delivery": UUID}
        return Sample(headers, payload(f"gitea/{file}.json"))

    def branch_push(self) -> tuple[Sample, PushedRef]:
        return self.event("push", "push"), PushedRef("refs/heads/develop", BEFORE, SHA, "gitea", "")

    def tag_push(self) -> tuple[Sample, PushedRef]:
        # An annotated tag: `after` is the tag object, `head_commit` the commit.
        return self.event("push", "tag"), PushedRef("refs/tags/v1.0", None, SHA, "gitea", "")

    def deletion(self) -> Sample:
        return self.event("push", "delete")

    def ping(self) -> Sample | None:
        # The button "Test delivery".
        sample = self.event("push", "push")
        return Sample(sample.headers, json.dumps(json.loads(sample.body) | {"before": SHA}).encode())

    def other_event(self) -> Sample:
        return self.event("create", "push")


class TestForgejoWebhooks(TestGiteaWebhooks):
    name = "forgejo"
    brand = "Forgejo"


class TestGiteaStatuses(StatusContract):
    name = "gitea"
    clone_url = "https://git.example.org/octo/hello.git"
    hook_address = "/repos/octo/hello/hooks"

    def hook(self, received: Received) -> tuple[str, str]:
        assert (received.payload["type"], received.payload["events"]) == (self.name, ["push"])
        return received.payload["config"]["url"], received.payload["config"]["secret"]

    def told(self, received: Received) -> CommitStatus:
        assert received.headers["authorization"] == "token s3cret"
        root, _, sha = received.path.rpartition("/")
        assert root == "/repos/octo/hello/statuses"
        told = received.payload
        return CommitStatus(sha, CommitState(told["state"]), told["context"], told["description"], told["target_url"])


class TestForgejoStatuses(TestGiteaStatuses):
    name = "forgejo"
