"""Repositories are registered: one that lies on a git host is connected, or a new one is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from trainyard.hosts.addresses import checked_address
from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.registry import host, host_of
from trainyard.intake.connection import CODECOMMIT, default_branch, host_answers, remember_connection
from trainyard.intake.missed import watch_from_nothing
from trainyard.intake.permissions import require_scope, writable_repository
from trainyard.intake.webhooks import OWN_HOST, Webhook, is_on_our_host, new_secret, prepare_our_host, webhook_for
from trainyard.model.errors import Conflict, Forbidden, InvalidInput, UserError
from trainyard.model.repository import (
    FULL_NAME,
    HOST_TOKEN,
    AccessToken,
    Repository,
    RepositoryKind,
    Scope,
    UserName,
    Visibility,
)
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.places import MAX_MEMBERS
from trainyard.store.secrets import host_token_name
from trainyard.store.table import AlreadyThereError


class NewRepository(BaseModel):
    """A repository to create or to connect."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=160, description="NAME, or OWNER/NAME; the owner is you if left out.")
    kind: RepositoryKind = RepositoryKind.PROJECT
    host: str = Field("", description="Git host: github, gitlab, ...; empty: told from clone_url, else this one's own.")
    clone_url: str = Field("", description="Its https address; empty: make a new one.")
    api_url: str = Field("", description="Root of the host's API where it is not the public one.")
    host_token: str = Field(
        "",
        max_length=1000,
        pattern=HOST_TOKEN,
        repr=False,
        description="Token for private repositories and commit statuses; kept secret.",
    )
    default_branch: str = Field("", max_length=200, description="Empty: as the host says, else main.")
    visibility: Visibility = Visibility.PRIVATE
    members: list[UserName] = Field([], max_length=MAX_MEMBERS)
    licence: str = Field("", max_length=100)
    description: str = Field("", max_length=500)


@dataclass(frozen=True)
class Created:
    repository: Repository
    webhook: Webhook | None
    """None where nothing needs to be set up."""
    is_new: bool = True
    """False for a repeated request."""


@dataclass(frozen=True)
class _Place:
    host: str
    clone_url: str
    api_url: str = ""


def create_repository(
    state: State, token: AccessToken | None, wanted: NewRepository, public_url: str, now: datetime | None = None
) -> Created:
    """Register a repository for the token's user; the same request again gives the same answer and changes nothing.

    `public_url`: the root under which git hosts reach us. A project gets a webhook and its secret.

    Raises:
        Unauthenticated, Forbidden: no token, one for reading, or another owner's name.
        InvalidInput: a bad name or address, a token that the host refuses, or there is nowhere to make a new one.
        Conflict: there is one of that name, and it is another.
    """
    known = require_scope(token, Scope.WRITE)
    full_name = _full_name(known, wanted)
    owner, place = full_name.partition("/")[0], _place(known, wanted, full_name)
    repository = Repository(
        full_name=full_name,
        kind=wanted.kind,
        host=place.host,
        clone_url=place.clone_url,
        api_url=place.api_url,
        default_branch=wanted.default_branch or "main",
        owner=owner,
        members=[user for user in dict.fromkeys(wanted.members) if user != owner],
        visibility=wanted.visibility,
        licence=wanted.licence,
        description=wanted.description,
        created_at=now or datetime.now(UTC),
    )
    is_away = False
    if wanted.clone_url and host_answers(place.host, wanted.host_token):
        found = default_branch(repository, wanted.host_token)
        is_away = found is None
        repository = repository.model_copy(update={"default_branch": wanted.default_branch or found or "main"})
    stored, is_new = _stored(state, repository, keep_branch=not wanted.default_branch)
    return Created(stored, _set_up(state, stored, wanted.host_token, public_url, is_away=is_away), is_new)


def renew_webhook_secret(state: State, full_name: str, token: AccessToken | None, public_url: str) -> Webhook:
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
    new_secret(state, repository)
    return webhook_for(state, repository, "", public_url)


def _full_name(token: AccessToken, wanted: NewRepository) -> str:
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
    return full_name


def _place(token: AccessToken, wanted: NewRepository, full_name: str) -> _Place:
    """Where the repository lies, or is made."""
    if wanted.clone_url:
        clone_url = checked_address(wanted.clone_url)
        name = host(wanted.host).name if wanted.host else host_of(clone_url)
        if name == CODECOMMIT:
            # It is read with the installation's own rights, so whoever connects it must be the one who gave them.
            require_scope(token, Scope.OPERATE)
        return _Place(name, clone_url, checked_address(wanted.api_url, "api_url") if wanted.api_url else "")
    root = settings().git_base_url.rstrip("/")
    if root and wanted.host in ("", OWN_HOST):
        return _Place(OWN_HOST, f"{root}/{full_name}.git", f"{root}/api")
    if settings().codecommit_repositories and wanted.host in ("", CODECOMMIT):
        return _Place(CODECOMMIT, _made_on_codecommit(full_name, wanted.description))
    if wanted.host:
        host(wanted.host)
    raise InvalidInput(
        Text(
            en="No repository can be made there from here. Create it on the git host and give its clone_url.",
            zh="此处无法在该平台新建仓库。请先在 Git 平台创建仓库，再填写 clone_url。",
        ),
        details={"field": "clone_url"},
    )


def _made_on_codecommit(full_name: str, description: str) -> str:
    from trainyard.hosts.codecommit import create_repository as create

    try:
        return create(settings().codecommit_repositories, full_name, description)
    except (HostRefusedError, HostUnavailableError) as error:
        raise UserError(
            Text(
                en=f"CodeCommit did not make the repository: {error}. Try again; if it stays, ask the operator.",
                zh=f"CodeCommit 未能创建仓库：{error}。请重试；如仍失败，请联系管理员。",
            ),
            code="host_unavailable",
        ) from None


def _stored(state: State, repository: Repository, *, keep_branch: bool) -> tuple[Repository, bool]:
    """The row, and whether it is new; the one that is there already if it says the same."""
    if not remember_connection(state, repository):
        raise Conflict(
            Text(
                en=f"{repository.clone_url} is connected already, to another repository here.",
                zh=f"{repository.clone_url} 已关联到此处的另一个仓库。",
            ),
            code="already_exists",
        )
    try:
        state.table.create_repository(repository)
    except AlreadyThereError:
        known = state.table.repository(repository.full_name)
        if known is not None:
            branch = known.default_branch if keep_branch else repository.default_branch
            if known == repository.model_copy(update={"created_at": known.created_at, "default_branch": branch}):
                return known, False
        raise _taken(repository.full_name, is_being_removed=known is None) from None
    return repository, True


def _set_up(state: State, repository: Repository, host_token: str, public_url: str, *, is_away: bool) -> Webhook | None:
    """Secrets and webhook; what an earlier, half-finished request left is kept. A host that is away is not asked."""
    if is_on_our_host(repository):
        prepare_our_host(state, repository)
        if repository.kind is RepositoryKind.PROJECT:
            watch_from_nothing(state, repository)
        return None
    if host_token:
        state.secrets.put(host_token_name(repository.full_name), host_token)
    if repository.kind is not RepositoryKind.PROJECT or repository.host == CODECOMMIT:
        return None
    return webhook_for(state, repository, host_token, public_url, is_away=is_away)


def _taken(full_name: str, *, is_being_removed: bool) -> Conflict:
    if is_being_removed:
        return Conflict(
            Text(
                en=f"{full_name} is being removed. Send the DELETE again until it is finished, then create it.",
                zh=f"{full_name} 正在删除中。请重复发送 DELETE 请求直到完成，然后再创建。",
            ),
            code="being_removed",
        )
    return Conflict(
        Text(
            en=f"There is a repository {full_name} already. Choose another name.",
            zh=f"仓库 {full_name} 已存在。请换一个名称。",
        ),
        code="already_exists",
    )
