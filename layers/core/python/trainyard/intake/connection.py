"""A repository on a host of its own: does it answer to the token, and whose events are those of its address?"""

from __future__ import annotations

import hashlib
import json

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.registry import host
from trainyard.model.errors import InvalidInput
from trainyard.model.repository import Repository
from trainyard.model.text import Text
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError

CODECOMMIT = "codecommit"


def host_answers(host_name: str, host_token: str) -> bool:
    """Whether the host can be asked about the repository: with the user's token, or with rights of our own."""
    return bool(host_token) or not host(host_name).needs_token


def default_branch(repository: Repository, host_token: str) -> str | None:
    """The host's own default branch, empty where it does not say; None where the host is away just now.

    Raises:
        InvalidInput: the token is wrong, or shows no repository at that address.
    """
    try:
        return host(repository.host).default_branch(repository, host_token)
    except HostUnavailableError:
        return None
    except HostRefusedError as error:
        raise _refused(repository, error) from None


def remember_connection(state: State, repository: Repository) -> bool:
    """Note whose events those of this clone address are. False if the address is connected to another repository.

    CodeCommit's events name nothing but the address; others tell in the webhook's path whose they are.
    """
    if repository.host != CODECOMMIT:
        return True
    key, record = _connection_key(repository.clone_url), json.dumps({"repository": repository.full_name}).encode()
    if state.objects.put(key, record, "application/json", if_absent=True):
        return True
    name = connected_repository(state, repository.clone_url)
    known = state.table.repository(name) if name else None
    if known is None or known.clone_url != repository.clone_url:
        # Left by a request that went no further, or by a repository that is gone.
        state.objects.put(key, record, "application/json")
        return True
    return name == repository.full_name


def connected_repository(state: State, clone_url: str) -> str | None:
    """Full name of the repository that was connected under the address."""
    try:
        return str(json.loads(state.objects.get(_connection_key(clone_url)))["repository"])
    except ObjectMissingError:
        return None


def _connection_key(clone_url: str) -> str:
    return layout.connection_key(hashlib.sha256(clone_url.encode(errors="surrogatepass")).hexdigest())


def _refused(repository: Repository, error: HostRefusedError) -> InvalidInput:
    if error.status == 401:
        return InvalidInput(
            Text(
                en="The git host refused the token: it is wrong, expired or revoked. Make a new one there that may "
                "read the repository, set commit statuses and manage webhooks.",
                zh="Git 平台拒绝了该令牌：令牌错误、已过期或已被撤销。"
                "请在 Git 平台新建令牌，并授予读取仓库、设置提交状态和管理 Webhook 的权限。",
            ),
            code="host_refused_token",
            details={"field": "host_token"},
        )
    return InvalidInput(
        Text(
            en=f"The git host shows no repository at {repository.clone_url} ({error.status}). "
            "Check the address, and that the token may read it.",
            zh=f"Git 平台上无法读取 {repository.clone_url}（{error.status}）。"
            "请检查地址，并确认令牌有读取该仓库的权限。",
        ),
        code="host_shows_no_repository",
        details={"field": "clone_url"},
    )
