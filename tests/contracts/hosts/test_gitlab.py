from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
from contracts.hosts.api_server import ApiServer, Received
from contracts.hosts.host_contract import NOW, STATUS, Sample, StatusContract, WebhookContract, payload, server  # noqa: F401
from contracts.hosts.host_server import OWNER_TOKEN, HostServer

from trainyard.hosts.contract import CommitState, CommitStatus, HostRefusedError, PushedRef
from trainyard.hosts.registry import host
from trainyard.model.errors import Unauthenticated

A, B = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "95790bf891e76fee5e1747ab589903a6a1f80f22"
UUID = "13792a34-cac6-4fda-95a8-c58e00a3954e"
KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


class GitLabWebhooks(WebhookContract):
    name = "gitlab"

    def event(self, name: str, file: str) -> Sample:
        return Sample({"X-Gitlab-Event": name, "Idempotency-Key": UUID}, payload(f"gitlab/{file}.json"))

    def branch_push(self) -> tuple[Sample, PushedRef]:
        return self.event("Push Hook", "push"), PushedRef("refs/heads/master", B, A, "jsmith", UUID)

    def tag_push(self) -> tuple[Sample, PushedRef]:
        # An annotated tag: `after` is the tag object, `checkout_sha` the commit.
        return self.event("Tag Push Hook", "tag_push"), PushedRef("refs/tags/v1.0.0", None, A, "jsmith", UUID)

    def deletion(self) -> Sample:
        return self.event("Push Hook", "delete")

    def ping(self) -> Sample | None:
        return None

    def other_event(self) -> Sample:
        return self.event("Issue Hook", "push")


class TestGitLabToken(GitLabWebhooks):
    signs_body = False

    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return {"X-Gitlab-Token": secret}


class TestGitLabSigned(GitLabWebhooks):
    secret = KEY

    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        return self.signed(body, secret, int(NOW.timestamp()))

    def signed(self, body: bytes, secret: str, at: int) -> dict[str, str]:
        key = base64.b64decode(secret.removeprefix("whsec_") + "==")
        digest = hmac.new(key, f"{UUID}.{at}.".encode() + body, hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(digest).decode()
        return {"webhook-id": UUID, "webhook-timestamp": str(at), "webhook-signature": signature}

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_an_old_delivery_is_not_taken_again(self, minutes: int) -> None:
        sample, _ = self.branch_push()
        headers = self.signed(sample.body, KEY, int((NOW + timedelta(minutes=minutes)).timestamp()))
        with pytest.raises(Unauthenticated):
            self.host.verify(headers, sample.body, KEY, NOW)

    def test_one_of_several_signatures_is_enough(self) -> None:
        sample, _ = self.branch_push()
        headers = self.sign(sample.body, KEY)
        headers["webhook-signature"] = f"v1,AAAA v2,x {headers['webhook-signature']}"
        self.host.verify(headers, sample.body, KEY, NOW)

    def test_a_gitlab_that_cannot_sign_sends_the_secret_itself(self) -> None:
        sample, _ = self.branch_push()
        self.host.verify({"X-Gitlab-Token": KEY}, sample.body, KEY, NOW)
        wrong = self.sign(sample.body + b" ", KEY)
        with pytest.raises(Unauthenticated):
            self.host.verify(wrong | {"X-Gitlab-Token": KEY}, sample.body, KEY, NOW)

    @pytest.mark.parametrize("secret", ["whsec_", "whsec_!", "whsec_abc"])
    def test_a_key_that_is_none(self, secret: str) -> None:
        sample, _ = self.branch_push()
        with pytest.raises(Unauthenticated):
            self.host.verify(self.signed(sample.body, "whsec_", int(NOW.timestamp())), sample.body, secret, NOW)


class TestGitLabStatuses(StatusContract):
    name = "gitlab"
    clone_url = "https://gitlab.example.com/group/sub/hello.git"
    says_all_states = False
    hook_address = "/projects/group%2Fsub%2Fhello/hooks"

    def hook(self, received: Received) -> tuple[str, str]:
        assert received.headers["private-token"] == "s3cret"
        assert (received.payload["push_events"], received.payload["tag_push_events"]) == (True, True)
        return received.payload["url"], received.payload["token"]

    def told(self, received: Received) -> CommitStatus:
        assert received.headers["private-token"] == "s3cret"
        root, _, sha = received.path.rpartition("/")
        assert root == "/projects/group%2Fsub%2Fhello/statuses"
        word, told = received.payload["state"], received.payload
        state = {"pending": CommitState.PENDING, "success": CommitState.SUCCESS, "failed": CommitState.FAILURE}[word]
        return CommitStatus(sha, state, told["name"], told["description"], told["target_url"])

    @pytest.mark.parametrize(("state", "word"), [("pending", "pending"), ("success", "success"), ("failure", "failed"), ("error", "failed")])  # fmt: skip
    def test_its_words(self, server: ApiServer, state: str, word: str) -> None:  # noqa: F811
        status = CommitStatus(STATUS.sha, CommitState(state), "c", "d", "")
        host("gitlab").report_status(self.local(server), "s3cret", status)
        assert server.received[0].payload == {"state": word, "name": "c", "description": "d"}

    def test_the_state_that_it_has_already_is_no_fault(self, server: ApiServer) -> None:  # noqa: F811
        server.answers = [(400, {}), (400, {})]
        server.reply = {"message": "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot ...)"}
        host("gitlab").report_status(self.local(server), "s3cret", STATUS)
        server.reply = {"message": "state is invalid"}
        with pytest.raises(HostRefusedError):
            host("gitlab").report_status(self.local(server), "s3cret", STATUS)

    @pytest.mark.parametrize("signs", [True, False])
    def test_a_new_webhook_is_signed_where_this_gitlab_can(self, git_host: HostServer, signs: bool) -> None:
        git_host.signs = signs
        key = host("gitlab").new_secret()
        assert len(base64.b64decode(key.removeprefix("whsec_"))) == 32
        for _ in range(2):
            host("gitlab").create_webhook(self.hello(git_host), OWNER_TOKEN, "https://t.example/h", key)
        (hook,) = git_host.hooks.values()
        assert hook.get("signing_token" if signs else "token") == key
        assert ("token" if signs else "signing_token") not in hook
