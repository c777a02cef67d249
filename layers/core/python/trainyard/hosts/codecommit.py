"""AWS CodeCommit. It sends no webhooks: EventBridge carries its events, which AWS itself vouches for.

https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from trainyard.clients import client
from trainyard.hosts.addresses import basic_authorization, checked_address
from trainyard.hosts.contract import (
    CommitState,
    CommitStatus,
    Delivery,
    FetchAddress,
    GitHost,
    HostRefusedError,
    HostUnavailableError,
    Ignored,
)
from trainyard.hosts.deliveries import json_object, pushed, text_at, unexpected, wrong_signature
from trainyard.model.errors import Conflict, InvalidInput
from trainyard.model.repository import Repository
from trainyard.model.text import Text

_DETAIL_TYPE = "CodeCommit Repository State Change"
_HOST = re.compile(r"git-codecommit\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?")
_LONGEST_NAME = 100
_TAG = "trainyard:repository"
_PASSING = ("EncryptionKeyUnavailableException", "ThrottlingException", "InternalFailure", "ServiceUnavailable")


class CodeCommit(GitHost):
    name = "codecommit"
    needs_token = False
    compare_path = ""  # its clone addresses are no pages

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: datetime | None = None) -> None:  # noqa: ARG002
        """Nothing that comes over HTTP is from CodeCommit."""
        raise wrong_signature()

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:  # noqa: ARG002
        """An EventBridge event as JSON."""
        event = json_object(body)
        if "detail-type" not in event or not isinstance(event.get("detail"), dict):
            raise unexpected("an EventBridge event")
        if event["detail-type"] != _DETAIL_TYPE:
            return Ignored(f"event {text_at(event, 'detail-type')[:100]}")
        change = text_at(event, "detail", "event")
        if change not in ("referenceCreated", "referenceUpdated"):
            return Ignored(f"event {change[:100]}")
        detail: dict[str, Any] = event["detail"]
        caller = text_at(detail, "callerUserArn").rsplit("/", 1)[-1]
        return pushed(
            text_at(detail, "referenceFullName"),
            text_at(detail, "oldCommitId"),
            text_at(detail, "commitId"),
            caller,
            text_at(event, "id"),
        )

    def fetch_address(self, repository: Repository, token: str | None) -> FetchAddress:
        """With git credentials of an IAM user (`USER:SECRET`), else with the credentials of this very function."""
        url = checked_address(repository.clone_url)
        region, _ = _place(url)
        if token:
            return FetchAddress(url, basic_authorization(token, "token"))
        import botocore.session

        found = botocore.session.get_session().get_credentials()
        if found is None:
            return FetchAddress(url)
        frozen = found.get_frozen_credentials()
        assert frozen.secret_key is not None
        user = f"{frozen.access_key}%{frozen.token}" if frozen.token else frozen.access_key
        password = git_password(url, region, frozen.secret_key, datetime.now(UTC))
        return FetchAddress(url, basic_authorization(f"{user}:{password}", ""))

    def default_branch(self, repository: Repository, token: str) -> str:  # noqa: ARG002 - asked with our own rights
        region, name = _place(repository.clone_url)
        with _translated():
            answer = client("codecommit", region).get_repository(repositoryName=name)
        return text_at(answer, "repositoryMetadata", "defaultBranch")

    def report_status(self, repository: Repository, token: str, status: CommitStatus) -> None:  # noqa: ARG002
        """CodeCommit has no commit statuses; a comment says how it ended, the same one only once."""
        if status.state is CommitState.PENDING:
            return
        region, name = _place(repository.clone_url)
        lines = [f"{status.context}: {status.description}", status.target_url]
        content = "\n\n".join(line for line in lines if line)
        with _translated():
            client("codecommit", region).post_comment_for_compared_commit(
                repositoryName=name,
                afterCommitId=status.sha,
                content=content,
                clientRequestToken=hashlib.sha256(f"{name}\0{status.sha}\0{content}".encode()).hexdigest(),
            )


def create_repository(allowed: str, full_name: str, description: str) -> str:
    """Make the repository with our own rights and return its clone address; the one made before for the same name.

    `allowed`: the names that we may use, such as `trainyard-*`. CodeCommit knows no owners, so ours is in the name.

    Raises:
        InvalidInput: the name is too long there.
        Conflict: a repository of that name is there and was not made for this one.
        HostRefusedError, HostUnavailableError: AWS did not do it.
    """
    name = allowed.replace("*", full_name.replace("/", "-"))
    if len(name) > _LONGEST_NAME:
        raise InvalidInput(
            Text(
                en=f"On CodeCommit this would be called {name}; {_LONGEST_NAME} characters are the most. Shorten it.",
                zh=f"在 CodeCommit 上该仓库将命名为 {name}，超过 {_LONGEST_NAME} 个字符，请缩短名称。",
            ),
            details={"field": "name"},
        )
    codecommit = client("codecommit")
    with _translated():
        try:
            made = codecommit.create_repository(
                repositoryName=name, repositoryDescription=description, tags={_TAG: full_name}
            )["repositoryMetadata"]
        except codecommit.exceptions.RepositoryNameExistsException:
            made = codecommit.get_repository(repositoryName=name)["repositoryMetadata"]
            tags = codecommit.list_tags_for_resource(resourceArn=made["Arn"])["tags"]
            if tags.get(_TAG) != full_name:
                raise Conflict(
                    Text(
                        en=f"CodeCommit has a repository {name} already. Choose another name.",
                        zh=f"CodeCommit 上已有仓库 {name}。请换一个名称。",
                    ),
                    code="already_exists",
                ) from None
    return str(made["cloneUrlHttp"])


def git_password(url: str, region: str, secret_key: str, now: datetime) -> str:
    """CodeCommit's own use of Signature Version 4: a password for the one address, good for a quarter of an hour.

    https://github.com/aws/git-remote-codecommit documents the form: method GIT, the host as the only header, no body.
    """
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%S")
    scope = f"{stamp[:8]}/{region}/codecommit/aws4_request"
    request = f"GIT\n{parts.path}\n\nhost:{parts.hostname}\n\nhost\n"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{secret_key}".encode()
    for part in (stamp[:8], region, "codecommit", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signed = hmac.new(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), hashlib.sha256).hexdigest()
    return f"{stamp}Z{signed}"


def _place(url: str) -> tuple[str, str]:
    """Region and name of the repository in its clone address."""
    parts = urlsplit(url)
    host = _HOST.fullmatch(parts.hostname or "")
    name = parts.path.removeprefix("/v1/repos/")
    if host is None or not parts.path.startswith("/v1/repos/") or not re.fullmatch(r"[\w.-]{1,100}", name, re.ASCII):
        raise InvalidInput(
            Text(
                en="Write the address as https://git-codecommit.REGION.amazonaws.com/v1/repos/NAME.",
                zh="请按 https://git-codecommit.REGION.amazonaws.com/v1/repos/NAME 填写地址。",
            ),
            details={"field": "clone_url"},
        )
    return host[1], name


@contextmanager
def _translated() -> Iterator[None]:
    """boto3's errors in the contract's words."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except BotoCoreError as error:
        raise HostUnavailableError(f"codecommit: {type(error).__name__}") from None
    except ClientError as error:
        _raise(error.response)


def _raise(response: Any) -> NoReturn:
    error, status = response["Error"], response["ResponseMetadata"].get("HTTPStatusCode", 400)
    if status >= 500 or error["Code"] in _PASSING:
        raise HostUnavailableError(f"codecommit: {error['Code']}")
    raise HostRefusedError("codecommit", status, f"{error['Code']}: {error.get('Message', '')}")
