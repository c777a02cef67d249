from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from contracts.hosts.host_contract import NOW, STATUS, FetchContract

from trainyard.clients import client
from trainyard.hosts.codecommit import git_password
from trainyard.hosts.contract import (
    CommitState,
    CommitStatus,
    HostRefusedError,
    HostUnavailableError,
    Ignored,
    Pushed,
    PushedRef,
)
from trainyard.hosts.registry import host
from trainyard.model.errors import InvalidInput, Unauthenticated

URL = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/hello"
A, B = "a" * 40, "b" * 40


def event(**detail: Any) -> bytes:
    """As EventBridge documents it."""
    known = {
        "event": "referenceUpdated",
        "repositoryName": "hello",
        "repositoryId": "12345678-1234-5678-abcd-12345678abcd",
        "referenceType": "branch",
        "referenceName": "main",
        "referenceFullName": "refs/heads/main",
        "commitId": A,
        "oldCommitId": B,
        "callerUserArn": "arn:aws:sts::123456789012:assumed-role/dev/ada",
    }
    return json.dumps(
        {
            "version": "0",
            "id": "01234567-0123-0123-0123-012345678901",
            "detail-type": "CodeCommit Repository State Change",
            "source": "aws.codecommit",
            "account": "123456789012",
            "time": "2019-06-12T10:23:43Z",
            "region": "eu-west-1",
            "detail": known | detail,
        }
    ).encode()


def test_reads_branches_and_tags() -> None:
    delivery = "01234567-0123-0123-0123-012345678901"
    read = host("codecommit").read({}, event())
    assert read == Pushed([PushedRef("refs/heads/main", B, A, "ada", delivery)])
    created = event(event="referenceCreated", referenceFullName="refs/tags/v1", oldCommitId=None)
    assert host("codecommit").read({}, created) == Pushed([PushedRef("refs/tags/v1", None, A, "ada", delivery)])


@pytest.mark.parametrize("change", ["referenceDeleted", "commentOnCommitCreated", ""])
def test_other_changes_start_nothing(change: str) -> None:
    assert isinstance(host("codecommit").read({}, event(event=change)), Ignored)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"detail-type": 1, "detail": 2}', event(commitId="x")])
def test_what_is_no_event(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        host("codecommit").read({}, body)


def test_nothing_over_http_is_from_codecommit() -> None:
    with pytest.raises(Unauthenticated):
        host("codecommit").verify({"authorization": "x"}, event(), "secret", NOW)


class TestFetch(FetchContract):
    name = "codecommit"
    clone_url = URL

    def test_fetches_from_the_registered_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, "test")
        address = host("codecommit").fetch_address(self.repository(), None)
        assert address.url == URL
        user, password = base64.b64decode(address.headers["Authorization"].split()[1]).decode().split(":")
        assert user == "test%test"
        assert password[15] == "Z"

    @pytest.mark.parametrize("url", ["https://github.com/octo/hello.git", f"{URL}/x", f"{URL}/../y", "https://git-codecommit.x.amazonaws.com.evil.com/v1/repos/a"])  # fmt: skip
    def test_only_codecommit(self, url: str) -> None:
        with pytest.raises(InvalidInput):
            host("codecommit").fetch_address(self.repository(clone_url=url), "u:p")


def test_the_password_is_what_botocore_would_sign() -> None:
    """The same numbers from an independent implementation of Signature Version 4."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    request = AWSRequest(method="GIT", url=URL)
    request.context["timestamp"] = "20260102T030405"
    signer = SigV4Auth(Credentials("AKID", "secret"), "codecommit", "eu-west-1")
    canonical = "GIT\n/v1/repos/hello\n\nhost:git-codecommit.eu-west-1.amazonaws.com\n\nhost\n"
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert git_password(URL, "eu-west-1", "secret", at) == f"20260102T030405Z{signature}"


class TestComments:
    @pytest.fixture
    def stub(self, aws_credentials: None) -> Iterator[Stubber]:
        client.cache_clear()
        with Stubber(client("codecommit", "eu-west-1")) as stubber:
            yield stubber
        client.cache_clear()

    def report(self, state: CommitState = CommitState.SUCCESS) -> None:
        repository = TestFetch().repository()
        status = CommitStatus(STATUS.sha, state, STATUS.context, STATUS.description, STATUS.target_url)
        host("codecommit").report_status(repository, "", status)

    def test_a_comment_says_how_it_ended(self, stub: Stubber) -> None:
        from botocore.stub import ANY

        content = f"{STATUS.context}: {STATUS.description}\n\n{STATUS.target_url}"
        wanted = {"repositoryName": "hello", "afterCommitId": STATUS.sha, "content": content, "clientRequestToken": ANY}
        stub.add_response("post_comment_for_compared_commit", {}, wanted)
        self.report()
        stub.assert_no_pending_responses()

    def test_the_way_there_is_not_told(self, stub: Stubber) -> None:
        self.report(CommitState.PENDING)

    def test_refusals_and_faults_that_pass(self, stub: Stubber) -> None:
        stub.add_client_error("post_comment_for_compared_commit", "CommitDoesNotExistException", http_status_code=400)
        with pytest.raises(HostRefusedError):
            self.report()
        stub.add_client_error("post_comment_for_compared_commit", "ThrottlingException", http_status_code=400)
        with pytest.raises(HostUnavailableError):
            self.report()
