"""A git host on loopback as far as it is documented: who may, the repository, its webhooks. It keeps what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from contracts.hosts.api_server import Received, serving

OWNER_TOKEN = "owner-s3cret"
GUEST_TOKEN = "guest-s3cret"


@dataclass(frozen=True)
class Dialect:
    """What one host does differently."""

    repository: str
    """Path of the one repository that there is."""
    authorization: tuple[str, str]
    """Header, and what stands before the token in it."""
    update: str
    nested: bool
    """Whether a webhook holds its address in `config`."""
    no_admin: int
    """What a token that may only read is told about webhooks."""
    unique: bool = False
    """Whether the host refuses a second webhook to the same address."""


DIALECTS = {
    # https://docs.github.com/en/rest/repos/webhooks: 404 to who may not see them, 422 for a second one.
    "github": Dialect("/repos/octo/hello", ("authorization", "Bearer "), "PATCH", True, 404, unique=True),
    # https://docs.gitlab.com/api/project_webhooks/
    "gitlab": Dialect("/projects/octo%2Fhello", ("private-token", ""), "PUT", False, 403),
    # https://docs.gitea.com/api/: repoCreateHook, repoEditHook
    "gitea": Dialect("/repos/octo/hello", ("authorization", "token "), "PATCH", True, 403),
    "forgejo": Dialect("/repos/octo/hello", ("authorization", "token "), "PATCH", True, 403),
    # https://gitee.com/api/v5/swagger: /v5/repos/{owner}/{repo}/hooks
    "gitee": Dialect("/repos/octo/hello", ("authorization", "token "), "PATCH", False, 403),
}


@dataclass
class HostServer:
    dialect: Dialect
    url: str = ""
    default_branch: str = "trunk"
    signs: bool = True
    """Whether this GitLab knows signing keys; an older one takes no notice of them."""
    hooks: dict[int, dict[str, Any]] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)
    is_away: bool = False

    def keep(self, address: str) -> None:
        """A webhook that somebody else made."""
        self._keep(
            max(self.hooks, default=0) + 1, {"config": {"url": address}} if self.dialect.nested else {"url": address}
        )

    @contextmanager
    def away(self) -> Iterator[None]:
        """It answers nobody sensibly while this is in use."""
        self.is_away = True
        yield
        self.is_away = False

    def answer(self, received: Received) -> tuple[int, dict[str, str], Any]:
        if self.is_away:
            return 503, {}, None
        status, answer = self._answer(received.method, received.path, received.headers, received.payload)
        return status, {}, answer

    def _answer(self, method: str, path: str, headers: dict[str, str], sent: Any) -> tuple[int, Any]:
        name, before = self.dialect.authorization
        token = headers.get(name, "").removeprefix(before)
        if token not in (OWNER_TOKEN, GUEST_TOKEN):
            return 401, {"message": "Bad credentials"}
        place = path.partition("?")[0]
        if place == self.dialect.repository:
            return 200, {"id": 1, "default_branch": self.default_branch}
        hooks = f"{self.dialect.repository}/hooks"
        if not place.startswith(hooks):
            return 404, {"message": "Not Found"}
        if token != OWNER_TOKEN:
            return self.dialect.no_admin, {"message": "Not allowed"}
        return self._hook(method, place.removeprefix(hooks).strip("/"), sent)

    def _hook(self, method: str, number: str, sent: Any) -> tuple[int, Any]:
        if method == "GET":
            # GitHub's own `url` is the webhook's address in its API, not where it goes to.
            return 200, [{"url": f"{self.url}/hooks/{each}", **hook, "id": each} for each, hook in self.hooks.items()]
        if method == "POST" and not number:
            if self.dialect.unique and self._address(sent) in map(self._address, self.hooks.values()):
                return 422, {"message": "Validation Failed", "errors": [{"message": "Hook already exists"}]}
            return 201, self._keep(max(self.hooks, default=0) + 1, sent)
        if method == "DELETE" and int(number or 0) in self.hooks:
            self.deleted.append(int(number))
            del self.hooks[int(number)]
            return 204, None
        if method == self.dialect.update and int(number or 0) in self.hooks:
            return 200, self._keep(int(number), self.hooks[int(number)] | sent)
        return 404, {"message": "Not Found"}

    def _keep(self, number: int, hook: dict[str, Any]) -> dict[str, Any]:
        if not self.signs:
            hook.pop("signing_token", None)
        self.hooks[number] = hook
        # Neither secret is ever told.
        return {"id": number, "token_present": "token" in hook, "signing_token_present": "signing_token" in hook}

    def _address(self, hook: dict[str, Any]) -> str:
        return str(hook["config"]["url"] if self.dialect.nested else hook["url"])


@contextmanager
def host_server(name: str) -> Iterator[HostServer]:
    server = HostServer(DIALECTS[name])
    with serving(server.answer) as server.url:
        yield server
