"""The file locking API: who says that nobody else should change a file now.

https://github.com/git-lfs/git-lfs/blob/main/docs/api/locking.md
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from trainyard.lfs.routing import Call, route
from trainyard.lfs.wire import response
from trainyard.model.errors import Forbidden, InvalidInput, NotFound
from trainyard.model.repository import FileLock, RepositoryKind
from trainyard.model.text import Text
from trainyard.store.table import AlreadyThereError

_PAGE = 100


class CreateLock(BaseModel):
    path: Annotated[str, Field(min_length=1, max_length=1000)]


class VerifyLocks(BaseModel):
    cursor: str | None = None
    limit: Annotated[int, Field(ge=0)] = 0


class RemoveLock(BaseModel):
    force: bool = False


@route("POST", "locks")
def create_lock(call: Call) -> dict[str, Any]:
    wanted, caller, table = call.request.document(CreateLock), call.caller, call.state.table
    caller.require_write()
    if caller.repository.kind is RepositoryKind.PROJECT:
        raise Forbidden(
            Text(en="Project repositories have no Git LFS files to lock.", zh="项目仓库不支持 Git LFS 文件锁。")
        )
    lock = FileLock(
        id=hashlib.sha256(wanted.path.encode()).hexdigest()[:32],
        repository=caller.repository.full_name,
        path=wanted.path,
        owner=caller.user,
        locked_at=datetime.now(UTC),
    )
    try:
        table.create_lock(lock)
    except AlreadyThereError:
        holder = table.lock(lock.repository, lock.id) or lock
        message = Text(en=f"{lock.path} is locked by {holder.owner}.", zh=f"{lock.path} 已被 {holder.owner} 锁定。")
        return response(409, {"lock": _wire(holder), "message": str(message)})
    return response(201, {"lock": _wire(lock)})


@route("GET", "locks")
def list_locks(call: Call) -> dict[str, Any]:
    request, caller, table = call.request, call.caller, call.state.table
    cursor, limit = request.query.get("cursor"), _limit(request.query.get("limit", ""))
    wanted_id, path = request.query.get("id"), request.query.get("path")
    if path is not None:
        wanted_id = hashlib.sha256(path.encode()).hexdigest()[:32]
    if wanted_id is not None:
        lock = table.lock(caller.repository.full_name, wanted_id)
        return response(200, {"locks": [_wire(lock)] if lock else []})
    page = table.locks_of(caller.repository.full_name, limit, cursor)
    return response(200, {"locks": [_wire(lock) for lock in page.rows], **_next(page.cursor)})


@route("POST", "locks/verify")
def verify_locks(call: Call) -> dict[str, Any]:
    """git-lfs asks this before every push: which locks are ours, and which are in the way?"""
    wanted, caller, table = call.request.document(VerifyLocks), call.caller, call.state.table
    caller.require_write()
    page = table.locks_of(caller.repository.full_name, min(wanted.limit or _PAGE, _PAGE), wanted.cursor or None)
    ours = [_wire(lock) for lock in page.rows if lock.owner == caller.user]
    theirs = [_wire(lock) for lock in page.rows if lock.owner != caller.user]
    return response(200, {"ours": ours, "theirs": theirs, **_next(page.cursor)})


@route("POST", "locks/{lock}/unlock")
def remove_lock(call: Call) -> dict[str, Any]:
    wanted, caller, table = call.request.document(RemoveLock), call.caller, call.state.table
    caller.require_write()
    lock = table.lock(caller.repository.full_name, call.place["lock"])
    if lock is None:
        raise NotFound(Text(en="There is no such lock.", zh="该锁不存在。"))
    if lock.owner != caller.user and not wanted.force:
        raise Forbidden(
            Text(
                en=f"{lock.path} is locked by {lock.owner}; ask them, or unlock it with --force.",
                zh=f"{lock.path} 已被 {lock.owner} 锁定，请联系对方，或使用 --force 解锁。",
            )
        )
    table.delete_lock(lock)
    return response(200, {"lock": _wire(lock)})


def _limit(text: str) -> int:
    if not text:
        return _PAGE
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise InvalidInput(Text(en="`limit` must be a number above 0.", zh="limit 必须是大于 0 的数字。"))
    return min(int(text), _PAGE)


def _next(cursor: str | None) -> dict[str, str]:
    return {"next_cursor": cursor} if cursor else {}


def _wire(lock: FileLock) -> dict[str, Any]:
    locked_at = lock.locked_at.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return {"id": lock.id, "path": lock.path, "locked_at": locked_at, "owner": {"name": lock.owner}}
