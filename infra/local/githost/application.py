"""The host's addresses: git, Git LFS, GitHub's statuses, and one to create a repository."""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from pydantic import BaseModel, ValidationError

from infra.local.githost.git import Git
from infra.local.githost.lfs_proxy import forward
from infra.local.githost.repositories import NewRepository, Repositories
from infra.local.githost.sign_in import SignIn
from infra.local.githost.smart_http import GitResponse
from infra.local.githost.statuses import NewStatus, Statuses
from infra.local.githost.webhooks import Webhooks, push_payload
from trainyard.model.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    TooLarge,
    Unauthenticated,
    UserError,
)
from trainyard.model.repository import AccessToken, Repository, RepositoryKind, Scope
from trainyard.model.text import Text

MAX_JSON_BYTES = 5 << 20

_log = logging.getLogger(__name__)
_NAME = r"(?P<repository>[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*?)"
_GIT = re.compile(rf"/{_NAME}(?:\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack)")
_LFS = re.compile(rf"/{_NAME}\.git/info/lfs/(?P<rest>[A-Za-z0-9/_-]{{1,200}})")
_NEW_STATUS = re.compile(rf"/api/repos/{_NAME}/statuses/(?P<sha>[0-9a-f]{{40,64}})")
_STATUSES = re.compile(rf"/api/repos/{_NAME}/commits/(?P<sha>[0-9a-f]{{40,64}})/statuses")

_STATUS: dict[type[UserError], str] = {
    Unauthenticated: "401 Unauthorized",
    Forbidden: "403 Forbidden",
    NotFound: "404 Not Found",
    Conflict: "409 Conflict",
    TooLarge: "413 Content Too Large",
    InvalidInput: "422 Unprocessable Content",
}
_SIGN_IN = Text(
    en="Sign in with your user name and an access token as password.",
    zh="请使用用户名登录，密码处填写访问令牌（token）。",
)
_NOTHING = Text(en="There is nothing at this address.", zh="该地址不存在。")

Document = TypeVar("Document", bound=BaseModel)


@dataclass(frozen=True)
class Application:
    """The WSGI application."""

    root: Path
    git: Git
    repositories: Repositories
    sign_in: SignIn
    webhooks: Webhooks
    statuses: Statuses
    api_url: str
    admin_token: str

    def __call__(self, request: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return self._route(request["PATH_INFO"])(request, start_response)
        except UserError as error:
            return _refuse(error, request["PATH_INFO"], start_response)
        except Exception:  # noqa: BLE001 - one request that fails must not end the host
            _log.exception("%s %s failed", request["REQUEST_METHOD"], request["PATH_INFO"])
            return _plain(start_response, "500 Internal Server Error", "Something went wrong here / 服务器内部错误\n")

    def spool_left_over(self) -> None:
        """Pushes that an earlier process took but did not tell about."""
        for spool in sorted(self._spools().glob("*.refs")):
            self._announce_push(spool)

    def _route(self, path: str) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
        if found := _GIT.fullmatch(path):
            return partial(self._git, found["repository"], found["rest"])
        if _LFS.fullmatch(path):
            return partial(self._lfs, path)
        if found := _NEW_STATUS.fullmatch(path):
            return partial(self._new_status, found["repository"], found["sha"])
        if found := _STATUSES.fullmatch(path):
            return partial(self._statuses, found["repository"], found["sha"])
        if path == "/_admin/repositories":
            return self._create
        if path == "/_health":
            return lambda _, start_response: _json(start_response, "200 OK", {"status": "ok"})
        raise NotFound(_NOTHING)

    def _git(self, name: str, rest: str, request: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        writes = _service(rest, request) == "git-receive-pack"
        repository, token = self._allowed(name, request, writes=writes)
        spool = self._spools() / f"{time.time_ns()}-{uuid.uuid4().hex}.refs"
        variables = {
            "GIT_PROJECT_ROOT": str(self.repositories.projects_root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repository.full_name}.git/{rest}",
            "REMOTE_USER": token.user if token else "",
            "REMOTE_ADDR": "127.0.0.1",
            "TRAINYARD_REPOSITORY": repository.full_name,
            "TRAINYARD_KIND": repository.kind.value,
            "TRAINYARD_SPOOL": str(spool),
        }
        return GitResponse(self.git, request, start_response, variables, lambda: self._announce_push(spool))

    def _lfs(self, path: str, request: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return forward(self.api_url, path, request, _body(request), start_response)

    def _new_status(
        self, name: str, sha: str, request: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        _require_method(request, "POST")
        repository, token = self._allowed(name, request, writes=True)
        assert token is not None
        new = _document(request, NewStatus)
        if self.git.run(self.repositories.path(repository), "cat-file", "-e", f"{sha}^{{commit}}").returncode:
            raise InvalidInput(Text(en=f"No commit found for SHA: {sha}", zh=f"找不到提交：{sha}"))
        return _json(start_response, "201 Created", self.statuses.add(repository, sha, token.user, new))

    def _statuses(
        self, name: str, sha: str, request: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        _require_method(request, "GET")
        repository, _ = self._allowed(name, request, writes=False)
        return _json(start_response, "200 OK", self.statuses.of(repository, sha))

    def _create(self, request: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """For the stack alone, which reads the admin token from the file that only its user can read."""
        _require_method(request, "POST")
        given = request.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.admin_token.encode()):
            raise Unauthenticated(_SIGN_IN)
        repository = self.repositories.create(_document(request, NewRepository))
        return _json(start_response, "201 Created", repository.model_dump(mode="json"))

    def _allowed(self, name: str, request: WSGIEnvironment, *, writes: bool) -> tuple[Repository, AccessToken | None]:
        """The repository, for somebody who may do this with it.

        A private repository and one that does not exist look the same to whoever may not read it.
        """
        token = self.sign_in.token(request.get("HTTP_AUTHORIZATION"))
        repository = self.repositories.find(name)
        reader = token.user if token and {Scope.READ, Scope.WRITE} & set(token.scopes) else None
        if repository is None or not repository.may_read(reader):
            if token is None:
                raise Unauthenticated(_SIGN_IN)
            raise NotFound(
                Text(
                    en=f"There is no repository {name}, or {token.user} may not read it.",
                    zh=f"仓库 {name} 不存在，或 {token.user} 没有读权限。",
                )
            )
        if writes:
            _require_write(repository, token)
        return repository, token

    def _spools(self) -> Path:
        path = self.root / "spool"
        path.mkdir(exist_ok=True)
        return path

    def _announce_push(self, spool: Path) -> None:
        """Turn what the post-receive hook wrote into webhooks; nothing if it wrote nothing."""
        if not spool.exists():
            return
        first, *lines = spool.read_text().splitlines()
        name, _, user = first.partition(" ")
        repository = self.repositories.find(name)
        if repository is not None and repository.kind is RepositoryKind.PROJECT:
            for line in lines:
                before, after, ref = line.split(" ", 2)
                path = self.repositories.path(repository)
                self.webhooks.send(name, "push", push_payload(self.git, path, repository, user, ref, before, after))
        spool.unlink()


def _require_write(repository: Repository, token: AccessToken | None) -> None:
    if token is None:
        raise Unauthenticated(_SIGN_IN)
    if Scope.WRITE not in token.scopes:
        raise Forbidden(
            Text(
                en="This token may only read. Make one with the scope `write` and use it as password.",
                zh="该令牌只有读权限，请新建带 write 权限的令牌并用作密码。",
            )
        )
    if not repository.may_write(token.user):
        raise Forbidden(
            Text(
                en=f"{token.user} may not push to {repository.full_name}; ask its owner to add you as a member.",
                zh=f"{token.user} 没有 {repository.full_name} 的写权限，请联系仓库所有者将您加为成员。",
            )
        )


def _service(rest: str, request: WSGIEnvironment) -> str:
    """git-upload-pack or git-receive-pack. NotFound for anything else: only smart HTTP is spoken."""
    method, services = request["REQUEST_METHOD"], ("git-upload-pack", "git-receive-pack")
    service = rest
    if rest == "info/refs":
        service = parse_qs(request.get("QUERY_STRING", "")).get("service", [""])[0]
    if service not in services or method != ("GET" if rest == "info/refs" else "POST"):
        raise NotFound(_NOTHING)
    return service


def _require_method(request: WSGIEnvironment, method: str) -> None:
    if request["REQUEST_METHOD"] != method:
        raise NotFound(_NOTHING)


def _body(request: WSGIEnvironment) -> bytes:
    length = int(request.get("CONTENT_LENGTH") or 0)
    if length > MAX_JSON_BYTES:
        raise TooLarge(Text(en=f"At most {MAX_JSON_BYTES} bytes.", zh=f"最多 {MAX_JSON_BYTES} 字节。"))
    return bytes(request["wsgi.input"].read(length))


def _document(request: WSGIEnvironment, model: type[Document]) -> Document:
    try:
        return model.model_validate_json(_body(request))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise InvalidInput(Text(en=f"Validation failed: {wrong}", zh=f"字段校验失败：{wrong}")) from None


def _refuse(error: UserError, path: str, start_response: StartResponse) -> list[bytes]:
    status = _STATUS.get(type(error), "400 Bad Request")
    headers = [("WWW-Authenticate", 'Basic realm="trainyard", charset="UTF-8"')] if status.startswith("401") else []
    if path.startswith(("/api/", "/_admin/")):
        return _json(start_response, status, {"message": str(error.message)}, headers)
    # git shows a refusal's text to the user only if it is plain text.
    return _plain(start_response, status, f"{error.message.en}\n{error.message.zh}\n", headers)


def _plain(
    start_response: StartResponse, status: str, text: str, headers: list[tuple[str, str]] | None = None
) -> list[bytes]:
    content = text.encode()
    kind = ("Content-Type", "text/plain; charset=utf-8")
    start_response(status, [kind, ("Content-Length", str(len(content))), *(headers or [])])
    return [content]


def _json(
    start_response: StartResponse, status: str, document: Any, headers: list[tuple[str, str]] | None = None
) -> list[bytes]:
    content = json.dumps(document, ensure_ascii=False).encode()
    kind = ("Content-Type", "application/json; charset=utf-8")
    start_response(status, [kind, ("Content-Length", str(len(content))), *(headers or [])])
    return [content]
