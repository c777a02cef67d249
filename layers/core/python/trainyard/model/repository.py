"""Repositories, projects, pushes and access tokens."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from trainyard.model.budget import Budget
from trainyard.model.notification import Notification
from trainyard.model.registry_login import RegistryLogin

FULL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}/[A-Za-z0-9][A-Za-z0-9._-]{0,98}")
FullName = Annotated[str, StringConstraints(pattern=rf"^{FULL_NAME.pattern}$", max_length=160)]
"""`owner/name`, as every git host spells it."""

USER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
UserName = Annotated[str, StringConstraints(pattern=USER_NAME)]
"""Also the first part of a full name."""

HOST_TOKEN = r"^[!-~]*$"  # noqa: S105 - what one looks like
"""What a header may hold: printable ASCII without spaces."""

Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
"""A full commit id, SHA-1 or SHA-256, in lower case."""


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class RepositoryKind(StrEnum):
    """What a repository holds. Only a project is trained; models and datasets are inputs and may use Git LFS."""

    PROJECT = "project"
    MODEL = "model"
    DATASET = "dataset"


class Repository(BaseModel):
    """A repository that was registered here. Its addresses are never taken from a webhook."""

    model_config = ConfigDict(extra="forbid")

    full_name: FullName
    kind: RepositoryKind
    host: str
    """Name of the git host in the registry of `hosts`: github, gitlab, ..."""
    clone_url: str
    api_url: str = ""
    """Root of the host's API, for commit statuses; empty: the host's public one."""
    default_branch: str = "main"
    owner: str
    members: list[str] = []
    """User names that may read a private one and start runs; the owner is not repeated here."""
    visibility: Visibility = Visibility.PRIVATE
    licence: str = ""
    description: str = ""
    budget: Budget | None = None
    """What a project's runs may cost without anybody's approval."""
    notifications: list[Notification] = []
    """Who is told of a project's runs."""
    registries: list[RegistryLogin] = []
    """How a project's runs pull private images."""
    created_at: datetime
    removed_at: datetime | None = None
    """When its owner removed it; the row goes last, when nothing else is left."""

    def may_read(self, user: str | None) -> bool:
        return self.visibility is Visibility.PUBLIC or self.may_write(user)

    def may_write(self, user: str | None) -> bool:
        return user is not None and (user == self.owner or user in self.members)


class Listed(BaseModel):
    """That a repository stands in a list other than its owner's. Only where to look: the repository itself decides."""

    model_config = ConfigDict(extra="forbid")

    place: str
    """Which list it is, as the table spells it."""
    repository: FullName
    kind: RepositoryKind


class Push(BaseModel):
    """One ref that was moved to one commit, as a verified webhook or a sweep told it. A hint, never an authority."""

    model_config = ConfigDict(extra="forbid")

    id: str
    repository: FullName
    ref: str
    """`refs/heads/...` or `refs/tags/...`."""
    commit: Sha
    before: str | None = None
    """The commit that the ref pointed to before, where the host tells it."""
    pusher: str = ""
    delivery: str = ""
    """The host's id of the delivery, for people who compare with the host's own list."""
    received_at: datetime
    checked_at: datetime | None = None
    """When `validate_repo` turned it into runs."""
    runs: list[str] = []
    nudges: int = 0
    """How often it was said again because nobody had checked it."""


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    WRITE = "write"
    OPERATE = "operate"


class AccessToken(BaseModel):
    """A token as it is stored: only the SHA-256 of the secret is known here."""

    model_config = ConfigDict(extra="forbid")

    id: str
    """First 12 hex digits of the digest: enough to tell it apart and to revoke it."""
    digest: str
    user: str
    name: str = ""
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    for_session: bool = False
    """It stands for one sign-in without a token. Nobody knows its secret, and it ends with that session."""


class FileLock(BaseModel):
    """A file of a repository that one user asked others not to change. Git LFS's locks."""

    model_config = ConfigDict(extra="forbid")

    id: str
    """Follows from the path: one lock per file."""
    repository: FullName
    path: str
    owner: str
    locked_at: datetime
