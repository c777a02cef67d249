"""Repositories are registered: a project that lies on a git host is connected, or one is created on our own host."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from trainyard.hosts.addresses import checked_address
from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.registry import host
from trainyard.intake.deliveries import CODECOMMIT, remember_connection
from trainyard.intake.permissions import require_scope, writable_repository
from trainyard.model.errors import Conflict, Forbidden, InvalidInput
from trainyard.model.repository import FULL_NAME, AccessToken, Repository, RepositoryKind, Scope, Visibility
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.secrets import host_token_name, webhook_secret_name
from trainyard.store.table import AlreadyThereError

# The embedded git host speaks GitHub's webhooks and statuses.
_OWN_HOST = "github"


class NewRepository(BaseModel):
    """A repository to create or to connect."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=160, description="NAME, or OWNER/NAME; the owner is you if left out.")
    kind: RepositoryKind = RepositoryKind.PROJECT
    host: str = Field(_OWN_HOST, description="Git host of an existing repository: github, gitlab, ...")
    clone_url: str = Field("", description="Its https address; empty: create it on this installation's git host.")
    api_url: str = Field("", description="Root of the host's API where it is not the public one.")
    host_token: str = Field(
        "", max_length=1000, repr=False, description="Token for private repositories and commit statuses; kept secret."
    )
    default_branch: str = Field("main", min_length=1, max_length=200)
    visibility: Visibility = Visibility.PRIVATE
    members: list[str] = Field([], max_length=100)
    licence: str = Field("", max_length=100)
    description: str = Field("", max_length=500)


@dataclass(frozen=True)
class Created:
    repository: Repository
    webhook_address: str
    """Where the git host sends its webhooks; empty where nothing needs to be set up."""
    webhook_secret: str
    """Shown this once; empty where nobody needs to see it."""
    note: Text | None = None
    """What the user still has to do, or why it was not done for them."""


def create_repository(
    state: State, token: AccessToken | None, wanted: NewRepository, public_url: str, now: datetime | None = None
) -> Created:
    """Register a repository for the token's user.

    `public_url`: the root under which git hosts reach us. A project gets a webhook secret.

    Raises:
        Unauthenticated, Forbidden: no token, one for reading, or another owner's name.
        InvalidInput: a bad name or address, or there is no git host here to create it on.
        Conflict: there is one of that name.
    """
    known = require_scope(token, Scope.WRITE)
    if wanted.host == CODECOMMIT:
        # It is read with the installation's own rights, so whoever connects it must be the one who gave them.
        require_scope(known, Scope.OPERATE)
    repository = _repository(known, wanted, now or datetime.now(UTC))
    _check_connection(state, repository)
    try:
        state.table.create_repository(repository)
    except AlreadyThereError:
        raise Conflict(
            Text(
                en=f"There is a repository {repository.full_name} already. Choose another name.",
                zh=f"仓库 {repository.full_name} 已存在。请换一个名称。",
            ),
            code="already_exists",
        ) from None
    if not wanted.clone_url:
        return _on_our_host(state, repository)
    if wanted.host_token:
        state.secrets.put(host_token_name(repository.full_name), wanted.host_token)
    if repository.kind is not RepositoryKind.PROJECT or repository.host == CODECOMMIT:
        return Created(repository, "", "")
    return _with_webhook(state, repository, wanted.host_token, public_url)


def renew_webhook_secret(state: State, full_name: str, token: AccessToken | None, public_url: str) -> Created:
    """A new secret for a project's webhook; the old one is worthless within a minute.

    Raises:
        Unauthenticated, NotFound, Forbidden: see `writable_repository`.
        InvalidInput: it is no project.
    """
    repository = writable_repository(state.table, full_name, token)
    if repository.kind is not RepositoryKind.PROJECT:
        raise InvalidInput(
            Text(en="Only projects have webhooks.", zh="只有项目仓库才有 Webhook。"), details={"field": "kind"}
        )
    return Created(repository, webhook_address(repository, public_url), _new_secret(state, repository))


def webhook_address(repository: Repository, public_url: str) -> str:
    return f"{public_url.rstrip('/')}/hooks/{repository.host}/{repository.full_name}"


def _repository(token: AccessToken, wanted: NewRepository, now: datetime) -> Repository:
    full_name = wanted.name if "/" in wanted.name else f"{token.user}/{wanted.name}"
    owner, _, name = full_name.partition("/")
    if not FULL_NAME.fullmatch(full_name) or name.endswith((".git", ".lock", ".")) or ".." in name:
        raise InvalidInput(
            Text(
                en="Use letters, digits, dots, hyphens and underscores for the name, and do not end it with .git.",
                zh="名称只能包含字母、数字、点、连字符和下划线，且不能以 .git 结尾。",
            ),
            details={"field": "name"},
        )
    if owner != token.user and Scope.OPERATE not in token.scopes:
        raise Forbidden(
            Text(
                en=f"You may create repositories under your own name only: {token.user}/{name}.",
                zh=f"您只能在自己的名下创建仓库：{token.user}/{name}。",
            )
        )
    host(wanted.host)
    clone_url, api_url = _addresses(wanted, full_name)
    return Repository(
        full_name=full_name,
        kind=wanted.kind,
        host=wanted.host,
        clone_url=clone_url,
        api_url=api_url,
        default_branch=wanted.default_branch,
        owner=owner,
        members=wanted.members,
        visibility=wanted.visibility,
        licence=wanted.licence,
        description=wanted.description,
        created_at=now,
    )


def _addresses(wanted: NewRepository, full_name: str) -> tuple[str, str]:
    """Clone address and API root."""
    if wanted.clone_url:
        api_url = checked_address(wanted.api_url, "api_url") if wanted.api_url else ""
        return checked_address(wanted.clone_url), api_url
    root = settings().git_base_url.rstrip("/")
    if not root:
        raise InvalidInput(
            Text(
                en="This installation has no git host of its own. "
                "Create the repository elsewhere and give its clone_url.",
                zh="此平台没有自带的 Git 服务。请先在其他平台创建仓库，再填写 clone_url。",
            ),
            details={"field": "clone_url"},
        )
    return f"{root}/{full_name}.git", f"{root}/api"


def _check_connection(state: State, repository: Repository) -> None:
    """CodeCommit's events name the clone address only, so one address is one repository here."""
    if repository.host != CODECOMMIT:
        return
    host(CODECOMMIT).fetch_address(repository, "checked:only")
    if not remember_connection(state, repository):
        raise Conflict(
            Text(
                en=f"{repository.clone_url} is connected already, to another repository here.",
                zh=f"{repository.clone_url} 已关联到此处的另一个仓库。",
            ),
            code="already_exists",
        )


def _with_webhook(state: State, repository: Repository, host_token: str, public_url: str) -> Created:
    """The webhook is made on the host where its token allows that; else the user is told what to enter there."""
    address, secret = webhook_address(repository, public_url), _new_secret(state, repository)
    by_hand = Text(
        en="Add a webhook with this address and secret in the repository's settings on its host.",
        zh="请在 Git 平台的仓库设置中，使用此地址和密钥添加 Webhook。",
    )
    if not host_token:
        return Created(repository, address, secret, by_hand)
    try:
        made = host(repository.host).create_webhook(repository, host_token, address, secret)
    except (HostRefusedError, HostUnavailableError) as error:
        return Created(
            repository,
            address,
            secret,
            Text(
                en=f"The webhook could not be made with this token ({error}). {by_hand.en}",
                zh=f"无法使用此令牌创建 Webhook（{error}）。{by_hand.zh}",
            ),
        )
    return Created(repository, address, "") if made else Created(repository, address, secret, by_hand)


def _on_our_host(state: State, repository: Repository) -> Created:
    """Our own host reads the row and the secrets by itself: nobody has to copy anything."""
    name = repository.full_name
    secret, _ = issue_token(state.table, repository.owner, [Scope.READ, Scope.WRITE], name=f"platform {name}"[:100])
    state.secrets.put(host_token_name(name), f"{repository.owner}:{secret}")
    if repository.kind is RepositoryKind.PROJECT:
        _new_secret(state, repository)
    return Created(repository, "", "")


def _new_secret(state: State, repository: Repository) -> str:
    secret = secrets.token_hex(32)
    state.secrets.put(webhook_secret_name(repository.full_name), secret)
    return secret
