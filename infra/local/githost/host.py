"""The running host: everything wired, on one loopback address."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.githost.application import Application
from infra.local.githost.git import MAX_PUSH_BYTES, Git
from infra.local.githost.repositories import NewRepository, Repositories
from infra.local.githost.sign_in import SignIn
from infra.local.githost.statuses import Statuses
from infra.local.githost.webhooks import Webhooks, ping_payload
from trainyard.model.repository import Repository, RepositoryKind
from trainyard.store.secrets import Secrets
from trainyard.store.table import Table

_THREADS = 16
_IDLE_SECONDS = 60
_DISK_AFTER_BYTES = 1 << 20


@dataclass(frozen=True)
class Host:
    """A git host. `run` serves until SystemExit is raised in its thread, as a signal handler does."""

    address: str
    admin_token_file: Path
    repositories: Repositories
    webhooks: Webhooks
    _server: Any

    def create_repository(self, new: NewRepository) -> Repository:
        """Write the row, its secrets and the bare repository, and send the ping. Conflict if the name is taken."""
        return self.repositories.create(new)

    def run(self) -> None:
        try:
            self._server.run()
        finally:
            self.webhooks.stop()


def open_host(root: Path, port: int, api_url: str, table: Table, secrets_store: Secrets) -> Host:
    """Bind 127.0.0.1 on `port` (0: a free one) and wire everything below `root`, which is made if need be."""
    from waitress import create_server

    root.mkdir(parents=True, exist_ok=True)
    listening = socket.create_server(("127.0.0.1", port))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    git = Git(root)
    webhooks = Webhooks(root, api_url, secrets_store)

    def ping(repository: Repository) -> None:
        if repository.kind is RepositoryKind.PROJECT:
            webhooks.send(repository.full_name, "ping", ping_payload(repository))

    repositories = Repositories(root, address, git, table, secrets_store, ping)
    token_file = _admin_token_file(root)
    application = Application(
        root=root,
        git=git,
        repositories=repositories,
        sign_in=SignIn(table),
        webhooks=webhooks,
        statuses=Statuses(root),
        api_url=api_url,
        admin_token=token_file.read_text(),
    )
    server = create_server(
        application,
        sockets=[listening],
        threads=_THREADS,
        ident="trainyard",
        max_request_body_size=MAX_PUSH_BYTES + (1 << 20),
        inbuf_overflow=_DISK_AFTER_BYTES,
        channel_timeout=_IDLE_SECONDS,
        clear_untrusted_proxy_headers=True,
    )
    webhooks.start()
    application.spool_left_over()
    return Host(address, token_file, repositories, webhooks, server)


def _admin_token_file(root: Path) -> Path:
    path = root / "admin-token"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(32))
    return path
