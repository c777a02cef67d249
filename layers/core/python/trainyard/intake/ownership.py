"""What a repository's owner changes about it: who sees it, who works in it, what it says of itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from trainyard.intake.connection import default_branch
from trainyard.intake.permissions import owned_repository, readable_repository, require_scope
from trainyard.intake.webhooks import is_on_our_host
from trainyard.model.errors import Conflict, InvalidInput, NotFound
from trainyard.model.repository import HOST_TOKEN, AccessToken, Repository, Scope, UserName, Visibility
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.places import MAX_MEMBERS
from trainyard.store.secrets import host_token_name


class RepositoryChanges(BaseModel):
    """What is to be different; what is left out stays. Name, kind and address are for good."""

    model_config = ConfigDict(extra="forbid")

    visibility: Visibility | None = None
    members: list[UserName] | None = Field(None, max_length=MAX_MEMBERS)
    licence: str | None = Field(None, max_length=100)
    description: str | None = Field(None, max_length=500)
    default_branch: str | None = Field(None, min_length=1, max_length=200)
    host_token: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        pattern=HOST_TOKEN,
        repr=False,
        description="A new one for the one that the host knows.",
    )


def change_repository(
    state: State, full_name: str, token: AccessToken | None, changes: RepositoryChanges
) -> Repository:
    """Carry out the changes. Runs that exist stay what they are; who may read them follows the repository.

    Raises:
        Unauthenticated, NotFound, Forbidden: see `owned_repository`.
        InvalidInput: the host refuses the new token.
    """
    repository = owned_repository(state.table, full_name, token)
    if changes.host_token is not None:
        _change_host_token(state, repository, changes.host_token)
    wanted = changes.model_dump(exclude_none=True, exclude={"host_token"})
    if "members" in wanted:
        wanted["members"] = [user for user in dict.fromkeys(wanted["members"]) if user != repository.owner]
    return _changed(state, repository, wanted)


def add_member(state: State, full_name: str, user: str, token: AccessToken | None) -> Repository:
    """Let `user` read a private repository, push and start runs. Adding twice is the same as once.

    Raises:
        Unauthenticated, NotFound, Forbidden: see `owned_repository`.
        Conflict: there are as many as there may be.
    """
    repository = owned_repository(state.table, full_name, token)
    if user in (repository.owner, *repository.members):
        return repository
    if len(repository.members) >= MAX_MEMBERS:
        raise Conflict(
            Text(
                en=f"A repository has at most {MAX_MEMBERS} members. Remove some first.",
                zh=f"每个仓库最多 {MAX_MEMBERS} 个成员。请先移除一些成员。",
            ),
            code="too_many_members",
        )
    changed = state.table.change_repository(
        full_name, lambda known: known.model_copy(update={"members": [*_without(known, user), user]})
    )
    return changed or repository


def remove_member(state: State, full_name: str, user: str, token: AccessToken | None) -> Repository:
    """Nobody needs to stay: members may remove themselves.

    Raises:
        Unauthenticated, NotFound, Forbidden: see `owned_repository`.
        NotFound: the user is no member.
    """
    known_token = require_scope(token, Scope.WRITE)
    if user == known_token.user:
        repository = readable_repository(state.table, full_name, token)
    else:
        repository = owned_repository(state.table, full_name, token)
    if user not in repository.members:
        raise NotFound(
            Text(en=f"{user[:64]} is no member of {full_name}.", zh=f"{user[:64]} 不是 {full_name} 的成员。")
        )
    changed = state.table.change_repository(
        full_name, lambda known: known.model_copy(update={"members": _without(known, user)})
    )
    return changed or repository


def _changed(state: State, repository: Repository, wanted: dict[str, object]) -> Repository:
    changed = state.table.change_repository(
        repository.full_name, lambda known: known.model_copy(update=wanted) if known.removed_at is None else known
    )
    return changed or repository


def _without(repository: Repository, user: str) -> list[str]:
    return [member for member in repository.members if member != user]


def _change_host_token(state: State, repository: Repository, host_token: str) -> None:
    if is_on_our_host(repository):
        raise InvalidInput(
            Text(
                en="This repository lies on this installation's own git host and needs no token.",
                zh="该仓库位于平台自带的 Git 服务上，不需要令牌。",
            ),
            details={"field": "host_token"},
        )
    default_branch(repository, host_token)
    state.secrets.put(host_token_name(repository.full_name), host_token)
