"""Rows of the table that live here get a bare repository, made when it is first needed."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, StringConstraints

from infra.local.githost.git import Git
from trainyard.model.errors import Conflict, InvalidInput
from trainyard.model.repository import FULL_NAME, FullName, Repository, RepositoryKind, Scope, Visibility
from trainyard.model.text import Text
from trainyard.store.access import issue_token
from trainyard.store.secrets import Secrets, host_token_name, webhook_secret_name
from trainyard.store.table import AlreadyThereError, Table

# A push is about five requests; a changed member or visibility counts after at most this long.
_KEPT_SECONDS = 2.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MARK = "trainyard-created"
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


class NewRepository(BaseModel):
    """What somebody who creates a repository says about it."""

    model_config = ConfigDict(extra="forbid")

    full_name: FullName
    kind: RepositoryKind
    owner: str = ""
    """Empty: the first part of the name."""
    members: list[str] = []
    visibility: Visibility = Visibility.PRIVATE
    default_branch: Annotated[str, StringConstraints(pattern=rf"^{_BRANCH.pattern}$")] = "main"
    licence: str = ""
    description: str = ""


class Repositories:
    """All repositories of this host. Thread-safe."""

    def __init__(
        self,
        root: Path,
        address: str,
        git: Git,
        table: Table,
        secrets_store: Secrets,
        announce: Callable[[Repository], None] = lambda _: None,
    ) -> None:
        """`address`: root of the clone addresses. `announce`: called once for each repository that was made here."""
        self.projects_root = root / "repositories"
        self._address = address
        self._git = git
        self._table = table
        self._secrets = secrets_store
        self._announce = announce
        self._kept: dict[str, tuple[float, Repository]] = {}
        self._creating = threading.Lock()

    def create(self, new: NewRepository) -> Repository:
        """Write the row, its secrets and the bare repository. Conflict if the name is taken."""
        repository = Repository(
            **new.model_dump(exclude={"owner"}),
            owner=new.owner or new.full_name.partition("/")[0],
            host="github",
            clone_url=f"{self._address}/{new.full_name}.git",
            api_url=f"{self._address}/api",
            created_at=datetime.now(UTC),
        )
        self._ensure_secrets(repository)
        try:
            self._table.create_repository(repository)
        except AlreadyThereError:
            raise Conflict(
                Text(
                    en=f"There is a repository {new.full_name}; choose another name.",
                    zh=f"仓库 {new.full_name} 已存在，请换一个名称。",
                )
            ) from None
        self._ensure_bare(repository)
        return repository

    def find(self, full_name: str) -> Repository | None:
        """The repository's row if it lives on this host; its bare repository is there afterwards."""
        if not FULL_NAME.fullmatch(full_name):
            return None
        kept = self._kept.get(full_name)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        repository = self._table.repository(full_name)
        if repository is None or not self._lives_here(repository):
            return None
        self._ensure_bare(repository)
        self._kept[full_name] = (time.monotonic() + _KEPT_SECONDS, repository)
        return repository

    def path(self, repository: Repository) -> Path:
        return self.projects_root / f"{repository.full_name}.git"

    def _lives_here(self, repository: Repository) -> bool:
        """A row may as well belong to a real host. The port may have changed since the row was written."""
        address = urlsplit(repository.clone_url)
        return address.hostname in _LOOPBACK and address.path == f"/{repository.full_name}.git"

    def _ensure_bare(self, repository: Repository) -> None:
        path = self.path(repository)
        if _belongs_to(path, repository):
            return
        with self._creating:
            if _belongs_to(path, repository):
                return
            # What is left of a removed repository of that name must not come back with its name.
            shutil.rmtree(path, ignore_errors=True)
            self._ensure_secrets(repository)
            self._initialise(path, repository)
        self._announce(repository)

    def _initialise(self, path: Path, repository: Repository) -> None:
        """All or nothing: a half-made repository never has the final name."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".new-{path.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        branch = repository.default_branch if _BRANCH.fullmatch(repository.default_branch) else "main"
        made = self._git.run(
            None, "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", str(unfinished)
        )
        if made.returncode:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise InvalidInput(
                Text(
                    en=f"git cannot make this repository: {made.stderr.decode(errors='replace').strip()}",
                    zh=f"git 无法创建该仓库：{made.stderr.decode(errors='replace').strip()}",
                )
            )
        _mark(unfinished, repository)
        unfinished.rename(path)

    def _ensure_secrets(self, repository: Repository) -> None:
        """The webhook's secret and a token with which functions fetch and report; kept where there are some."""
        name = repository.full_name
        if self._secrets.get(webhook_secret_name(name)) is None:
            self._secrets.put(webhook_secret_name(name), secrets.token_urlsafe(32))
        if self._secrets.get(host_token_name(name)) is None:
            token, _ = issue_token(self._table, repository.owner, [Scope.READ, Scope.WRITE], name=f"git host: {name}")
            self._secrets.put(host_token_name(name), token)


def _belongs_to(path: Path, repository: Repository) -> bool:
    """Whether the bare repository is there, and is this one's and not that of an earlier one of the name."""
    if not path.is_dir():
        return False
    mark = path / _MARK
    return not mark.exists() or mark.read_text() == repository.created_at.isoformat()


def _mark(path: Path, repository: Repository) -> None:
    (path / _MARK).write_text(repository.created_at.isoformat())
