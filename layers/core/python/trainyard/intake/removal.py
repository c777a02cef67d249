"""A repository is removed with all that hangs on it: runs, stored files, pushes, locks, secrets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from pydantic import BaseModel

from trainyard.intake.permissions import owned_repository, require_scope
from trainyard.intake.webhook_removal import remove_webhook
from trainyard.model import lifecycle
from trainyard.model.errors import Conflict
from trainyard.model.repository import FULL_NAME, AccessToken, Repository, Scope
from trainyard.model.text import Text
from trainyard.store import State, layout
from trainyard.store.access import token_digest
from trainyard.store.registry_logins import registry_login_name
from trainyard.store.secrets import host_token_name, notification_secret_name, webhook_secret_name
from trainyard.store.table import Page

SECONDS = 20.0
"""For one request; the function that answers it has a few more."""
_COUNTED = 1000

Row = TypeVar("Row", bound=BaseModel)


@dataclass(frozen=True)
class Loss:
    """What goes with the repository. A number stops at a thousand: there are at least as many."""

    runs: int
    stored_files: int
    stored_bytes: int


@dataclass(frozen=True)
class Removed:
    finished: bool
    """False: it is hidden, and there is more to do than there was time for, or its host was away. Ask again."""
    stays: Text | None = None
    """What is left on its git host, and what to do about it."""


def remove_repository(
    state: State,
    full_name: str,
    token: AccessToken | None,
    confirmed: str,
    public_url: str,
    clock: Callable[[], float] = time.monotonic,
) -> Removed:
    """Hide the repository, then remove everything that belongs to it, its webhook on the host included.

    `confirmed`: the full name once more; without it nothing happens and the error tells what would be lost. A
    repository on a host of its own stays there; what is kept here goes. `public_url`: see `remove_webhook`.

    Raises:
        Unauthenticated, NotFound, Forbidden: see `owned_repository`.
        Conflict: a run is active, or it was not confirmed.
    """
    deadline = clock() + SECONDS
    repository = _unfinished(state, full_name, token) or owned_repository(state.table, full_name, token)
    is_first_try = repository.removed_at is None
    if is_first_try:
        _refuse_while_active(state, repository)
        if confirmed != repository.full_name:
            raise _unconfirmed(state, repository)
        at = datetime.now(UTC)
        state.table.change_repository(full_name, lambda known: known.model_copy(update={"removed_at": at}))
    left = remove_webhook(state, repository, public_url, is_first_try=is_first_try)
    if not left.try_again:
        _forget_secrets(state, repository)
    for _ in _steps(state, repository):
        if clock() > deadline:
            return Removed(finished=False, stays=left.told)
    if left.try_again:
        return Removed(finished=False, stays=left.told)
    state.table.delete_repository(full_name)
    return Removed(finished=True, stays=left.told)


def what_is_lost(state: State, repository: Repository) -> Loss:
    name = repository.full_name
    runs = sum(1 for _ in islice(_rows(lambda cursor: state.table.runs_of(name, 200, cursor)), _COUNTED))
    sizes = [each.size for each in state.objects.find(layout.content_prefix(name), limit=_COUNTED)]
    return Loss(runs, len(sizes), sum(sizes))


def _unfinished(state: State, full_name: str, token: AccessToken | None) -> Repository | None:
    """A repository whose removal this user began."""
    known = require_scope(token, Scope.WRITE)
    row = state.table.repository_row(full_name) if FULL_NAME.fullmatch(full_name) else None
    if row is None or row.removed_at is None:
        return None
    return row if row.owner == known.user or Scope.OPERATE in known.scopes else None


def _refuse_while_active(state: State, repository: Repository) -> None:
    active = [
        run.id
        for run in _rows(lambda cursor: state.table.active_runs(200, cursor))
        if run.project == repository.full_name
    ]
    if active:
        raise Conflict(
            Text(
                en=f"{len(active)} of its runs have not ended. Stop them, wait until they have, then remove it.",
                zh=f"有 {len(active)} 个训练尚未结束。请先停止，等它们结束后再删除。",
            ),
            code="runs_active",
            details={"runs": active[:100]},
        )


def _unconfirmed(state: State, repository: Repository) -> Conflict:
    loss, name = what_is_lost(state, repository), repository.full_name
    size = f"{loss.stored_bytes / 1e6:.1f} MB"
    return Conflict(
        Text(
            en=f"This would remove {name} for good: {loss.runs} runs with their logs and outputs, {loss.stored_files} "
            f"stored files ({size}), its webhook and tokens. To do it, repeat with ?confirm={name}.",
            zh=f"此操作会永久删除 {name}：{loss.runs} 个训练及其日志和输出、{loss.stored_files} 个存储文件（{size}），"
            f"以及 Webhook 和令牌。确认删除请加上 ?confirm={name} 重新请求。",
        ),
        code="confirmation_needed",
        details={"lost": asdict(loss), "confirm": name},
    )


def _steps(state: State, repository: Repository) -> Iterator[None]:
    """Everything, a piece at a time; each may be done twice."""
    name, now = repository.full_name, datetime.now(UTC)
    for lock in _rows(lambda cursor: state.table.locks_of(name, 100, cursor)):
        state.table.delete_lock(lock)
        yield
    for push in _rows(lambda cursor: state.table.pushes_of(name, 200, cursor)):
        state.table.delete_push(push.id)
        yield
    for prefix_of in (
        layout.refs_prefix,
        layout.listings_prefix,
        layout.trained_on_prefix,
        layout.pinned_prefix,
        layout.storage_prefix,
    ):
        prefix = prefix_of(name)
        state.objects.delete_prefix(prefix)
        yield
    # A new repository of the name would take its first pushes for old news.
    for ref in _rows(lambda cursor: state.table.refs_of(name, 200, cursor)):
        state.table.delete_ref(name, ref.name)
        yield
    for run in _rows(lambda cursor: state.table.runs_of(name, 200, cursor)):
        # The row is kept, hidden, for the record of what was paid for.
        state.table.change_run(run.id, lambda known: lifecycle.mark_deleted(known, now))
        state.objects.delete_prefix(layout.run_prefix(run.id))
        yield
    state.objects.delete_prefix(layout.content_prefix(name))


def _forget_secrets(state: State, repository: Repository) -> None:
    name = repository.full_name
    host_token = state.secrets.get(host_token_name(name))
    if host_token:
        # On our own host it is one of our access tokens; elsewhere there is no such row, and nothing happens.
        state.table.delete_token(token_digest(host_token.rpartition(":")[2]))
    state.secrets.delete(host_token_name(name))
    state.secrets.delete(webhook_secret_name(name))
    for one in repository.notifications:
        state.secrets.delete(notification_secret_name(name, one.id))
    for login in repository.registries:
        state.secrets.delete(registry_login_name(name, login.registry))


def _rows(page_at: Callable[[str | None], Page[Row]]) -> Iterator[Row]:
    """All rows of a list, page by page."""
    cursor = None
    while True:
        page = page_at(cursor)
        yield from page.rows
        cursor = page.cursor
        if cursor is None:
            return
