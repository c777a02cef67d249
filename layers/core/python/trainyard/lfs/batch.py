"""The function's way in: one request to a repository's Git LFS address, one answer."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from trainyard.lfs import locks as _locks  # noqa: F401 - registers its routes
from trainyard.lfs.authorisation import Caller, find_caller
from trainyard.lfs.quota import Quota
from trainyard.lfs.routing import ROUTES, Call, route
from trainyard.lfs.transfers import BatchRequest, batch_response
from trainyard.lfs.wire import NO_ADDRESS, Request, read_request, response
from trainyard.model.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    QuotaExceeded,
    TooLarge,
    Unauthenticated,
    UserError,
)
from trainyard.model.repository import RepositoryKind
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import State, state

_log = logging.getLogger(__name__)

# 507 for quotas: git-lfs keeps the message of a 507 but hides the one of a 429.
_STATUS: dict[type[UserError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    InvalidInput: 422,
    QuotaExceeded: 507,
}
# git-lfs reads LFS-Authenticate; WWW-Authenticate is for everything else.
_SIGN_IN = {"LFS-Authenticate": 'Basic realm="trainyard"', "WWW-Authenticate": 'Basic realm="trainyard"'}


def handle_lfs(event: dict[str, Any], known: State | None = None, quota: Quota | None = None) -> dict[str, Any]:
    """Answer one HTTP API event (payload 2.0) for `/{owner}/{name}.git/info/lfs/...`.

    `known` and `quota` are this process's own unless given.
    """
    try:
        return _answer(read_request(event), known or state(), quota)
    except UserError as error:
        status = _STATUS.get(type(error), 400)
        return response(status, {"message": str(error.message)}, _SIGN_IN if status == 401 else None)
    except Exception:  # noqa: BLE001 - whatever it is, the user gets an answer and the log the reason
        _log.exception("Git LFS request failed")
        message = Text(en="Something went wrong here; try again.", zh="服务器内部错误，请重试。")
        return response(500, {"message": str(message)})


def _answer(request: Request, known: State, quota: Quota | None) -> dict[str, Any]:
    caller = find_caller(known.table, request.repository, request.authorization)
    for known_route in ROUTES:
        match = known_route.pattern.fullmatch(request.rest)
        if match and known_route.method == request.method:
            return known_route.act(Call(request, caller, known, quota or _quota_of(known), match.groupdict()))
    raise NotFound(NO_ADDRESS)


@route("POST", "objects/batch")
def answer_batch(call: Call) -> dict[str, Any]:
    batch = call.request.document(BatchRequest)
    _require_lfs_repository(call.caller)
    if batch.operation == "upload":
        call.caller.require_write()
    return response(200, batch_response(batch, call.request.repository, call.state.objects, call.quota))


def _require_lfs_repository(caller: Caller) -> None:
    if caller.repository.kind is RepositoryKind.PROJECT:
        raise InvalidInput(
            Text(
                en="Project repositories take no Git LFS files. Put large files into a model or dataset repository and "
                "name it under `inputs`; here run `git lfs untrack` and `git rm --cached` for them, then commit.",
                zh="项目仓库不支持 Git LFS 文件。请将大文件放入模型或数据集仓库，并在 inputs 中引用；"
                "在此仓库中请执行 git lfs untrack 和 git rm --cached 后重新提交。",
            )
        )


@cache
def _quota_of(known: State) -> Quota:
    return Quota(known.objects, round(settings().lfs_quota_gb * 1e9))
