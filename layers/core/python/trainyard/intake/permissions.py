"""Who may do what with a repository. Every read and every command comes through here."""

from __future__ import annotations

from trainyard.model.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from trainyard.model.ids import is_run_id
from trainyard.model.repository import FULL_NAME, AccessToken, Repository, RepositoryKind, Scope
from trainyard.model.run import Run
from trainyard.model.text import Text
from trainyard.store.table import Table

_ENOUGH = {
    Scope.READ: {Scope.READ, Scope.WRITE, Scope.OPERATE},
    Scope.WRITE: {Scope.WRITE, Scope.OPERATE},
    Scope.OPERATE: {Scope.OPERATE},
}


def require_scope(token: AccessToken | None, scope: Scope) -> AccessToken:
    """The token, if it is there and reaches that far.

    Raises:
        Unauthenticated: there is none.
        Forbidden: it was made for less.
    """
    if token is None:
        raise Unauthenticated(
            Text(
                en="Sign in: send an access token as `Authorization: Bearer TOKEN`.",
                zh="请先登录：在请求头中发送访问令牌 `Authorization: Bearer TOKEN`。",
            )
        )
    if _ENOUGH[scope].isdisjoint(token.scopes):
        raise Forbidden(
            Text(
                en=f"This token may not do that. Make one with the scope {scope.value!r}.",
                zh=f"此令牌没有执行该操作的权限。请新建一个具有 {scope.value!r} 权限的令牌。",
            ),
            details={"scope": scope.value},
        )
    return token


def readable_repository(table: Table, full_name: str, token: AccessToken | None) -> Repository:
    """The repository, if the token's user may read it.

    Raises:
        NotFound: there is none, or it is private and none of the user's; both look the same.
    """
    # Longer names than a key may have, and odd ones, are simply not there.
    repository = table.repository(full_name) if FULL_NAME.fullmatch(full_name) else None
    user = require_scope(token, Scope.READ).user if token else None
    if repository is None or not repository.may_read(user):
        raise NotFound(
            Text(
                en=f"There is no repository {full_name[:160]} here that you may read. Check the name, or sign in.",
                zh=f"此处没有您可读取的仓库 {full_name[:160]}。请检查名称，或先登录。",
            )
        )
    return repository


def writable_repository(table: Table, full_name: str, token: AccessToken | None) -> Repository:
    """The repository, if the token's user may start runs in it.

    Raises:
        Unauthenticated: there is no token.
        NotFound: it may not even be read.
        Forbidden: it may only be read, or the token was made for reading.
    """
    known = require_scope(token, Scope.WRITE)
    repository = readable_repository(table, full_name, known)
    if not repository.may_write(known.user):
        raise Forbidden(
            Text(
                en=f"Only {repository.owner} and the members of {full_name} may do this. Ask to be made a member.",
                zh=f"只有 {repository.owner} 和 {full_name} 的成员可以执行此操作。请联系所有者将您加为成员。",
            )
        )
    return repository


def writable_project(table: Table, full_name: str, token: AccessToken | None, otherwise: Text) -> Repository:
    """As `writable_repository`; InvalidInput, which says `otherwise`, where it is no project."""
    repository = writable_repository(table, full_name, token)
    if repository.kind is not RepositoryKind.PROJECT:
        raise InvalidInput(otherwise)
    return repository


def owned_repository(table: Table, full_name: str, token: AccessToken | None) -> Repository:
    """The repository, if the user may change what it is and who may use it: its owner, or an operator.

    Raises:
        Unauthenticated, Forbidden: no token, one for reading, or a member's.
        NotFound: it may not even be read.
    """
    known = require_scope(token, Scope.WRITE)
    if Scope.OPERATE in known.scopes and FULL_NAME.fullmatch(full_name):
        repository = table.repository(full_name)
        if repository is not None:
            return repository
    repository = readable_repository(table, full_name, known)
    if repository.owner != known.user:
        raise Forbidden(
            Text(
                en=f"Only {repository.owner}, who owns {full_name}, may do this.",
                zh=f"只有 {full_name} 的所有者 {repository.owner} 可以执行此操作。",
            )
        )
    return repository


def readable_run(table: Table, run_id: str, token: AccessToken | None) -> Run:
    """The run, if its project may be read. NotFound otherwise, and for a deleted one."""
    run = table.run(run_id) if is_run_id(run_id) else None
    if run is None or run.deleted_at is not None:
        raise _no_run(run_id)
    try:
        readable_repository(table, run.project, token)
    except NotFound:
        raise _no_run(run_id) from None
    return run


def commandable_run(table: Table, run_id: str, token: AccessToken | None) -> Run:
    """The run, deleted or not, if the user may command it; the errors of `writable_repository`."""
    require_scope(token, Scope.WRITE)
    run = table.run(run_id) if is_run_id(run_id) else None
    if run is None:
        raise _no_run(run_id)
    try:
        writable_repository(table, run.project, token)
    except NotFound:
        raise _no_run(run_id) from None
    return run


def owned_run(table: Table, run_id: str, token: AccessToken | None) -> Run:
    """The run, if the user may decide about its project's money; the errors of `owned_repository`."""
    require_scope(token, Scope.WRITE)
    run = table.run(run_id) if is_run_id(run_id) else None
    if run is None or run.deleted_at is not None:
        raise _no_run(run_id)
    try:
        owned_repository(table, run.project, token)
    except NotFound:
        raise _no_run(run_id) from None
    return run


def _no_run(run_id: str) -> NotFound:
    shown = run_id[:64]
    return NotFound(
        Text(
            en=f"There is no run {shown} that you may read. Check the id, or sign in.",
            zh=f"没有您可读取的训练 {shown}。请检查 ID，或先登录。",
        )
    )
