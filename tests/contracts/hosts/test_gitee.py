from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
from contracts.hosts.api_server import ApiServer, Received
from contracts.hosts.host_contract import NOW, SECRET, STATUS, Sample, StatusContract, WebhookContract, payload, server  # noqa: F401

from trainyard.hosts.contract import CommitState, CommitStatus, PushedRef
from trainyard.hosts.gitee import comment
from trainyard.hosts.registry import host
from trainyard.model.errors import Unauthenticated

SHA = "1cdcd819599cbb4099289dbbec762452f006cb40"


class GiteeWebhooks(WebhookContract):
    name = "gitee"
    signs_body = False

    def event(self, name: str, file: str, **headers: str) -> Sample:
        return Sample({"X-Gitee-Event": name, "X-Gitee-Ping": "false", **headers}, payload(f"gitee/{file}.json"))

    def branch_push(self) -> tuple[Sample, PushedRef]:
        pushed = PushedRef("refs/heads/change_commitlint_config", None, SHA, "robot", "")
        return self.event("Push Hook", "push"), pushed

    def tag_push(self) -> tuple[Sample, PushedRef]:
        return self.event("Tag Push Hook", "tag_push"), PushedRef("refs/tags/v1.0.0", None, SHA, "robot", "")

    def deletion(self) -> Sample:
        return self.event("Push Hook", "delete")

    def ping(self) -> Sample | None:
        return Sample({"X-Gitee-Event": "Push Hook", "X-Gitee-Ping": "true"}, payload("gitee/push.json"))

    def other_event(self) -> Sample:
        return self.event("Note Hook", "push")


class TestGiteePassword(GiteeWebhooks):
    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return {"X-Gitee-Token": secret}


class TestGiteeSignature(GiteeWebhooks):
    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return self.signed(secret, int(NOW.timestamp() * 1000))

    def signed(self, secret: str, at: int) -> dict[str, str]:
        digest = hmac.new(secret.encode(), f"{at}\n{secret}".encode(), hashlib.sha256).digest()
        return {"X-Gitee-Timestamp": str(at), "X-Gitee-Token": base64.b64encode(digest).decode()}

    @pytest.mark.parametrize("hours", [-1.1, 1.1])
    def test_an_old_signature_is_not_taken_again(self, hours: float) -> None:
        headers = self.signed(SECRET, int((NOW + timedelta(hours=hours)).timestamp() * 1000))
        with pytest.raises(Unauthenticated):
            self.host.verify(headers, b"{}", SECRET, NOW)


class TestGiteeStatuses(StatusContract):
    """Comments, and only on how it ended."""

    name = "gitee"
    clone_url = "https://gitee.com/octo/hello.git"
    says_all_states = False
    hook_address = "/repos/octo/hello/hooks"

    def hook(self, received: Received) -> tuple[str, str]:
        assert received.payload["encryption_type"] == 1
        return received.payload["url"], received.payload["password"]

    def told(self, received: Received) -> CommitStatus:
        assert received.headers["authorization"] == "token s3cret"
        assert received.path == f"/repos/octo/hello/commits/{STATUS.sha}/comments"
        assert received.payload == {"body": comment(STATUS)}
        return STATUS

    def test_the_way_there_is_not_told(self, server: ApiServer) -> None:  # noqa: F811
        pending = CommitStatus(STATUS.sha, CommitState.PENDING, "c", "d", "")
        host("gitee").report_status(self.local(server), "s3cret", pending)
        assert server.received == []

    def test_what_a_script_said_is_no_markup(self) -> None:
        said = comment(CommitStatus(STATUS.sha, CommitState.FAILURE, "c", "<b> [x](http://y) @all `z`", ""))
        assert said == r"❌ **c**: \<b\> \[x\](http://y) \@all \`z\`"
