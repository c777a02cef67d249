"""A project's webhook: its address here, its secret, and setting it up on the host."""

from __future__ import annotations

from dataclasses import dataclass

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.registry import host
from trainyard.model.repository import Repository, RepositoryKind, Scope
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.secrets import host_token_name, webhook_secret_name

# The embedded git host speaks GitHub's webhooks and statuses.
OWN_HOST = "github"
_BY_HAND = Text(
    en="Add a webhook with this address and secret in the repository's settings on its host.",
    zh="请在 Git 平台的仓库设置中，使用此地址和密钥添加 Webhook。",
)
_AWAY = Text(
    en="The git host did not answer just now, so nothing was set up there. Send the same request again later, or: "
    f"{_BY_HAND.en}",
    zh=f"Git 平台暂时没有响应，尚未创建 Webhook。请稍后重新发送同一请求，或者：{_BY_HAND.zh}",
)


@dataclass(frozen=True)
class Webhook:
    address: str
    """Where the git host sends its webhooks."""
    secret: str
    """Empty where nobody needs to see it: the webhook was made with the host's token."""
    note: Text | None = None
    """What the user still has to do, or why it was not done for them."""


def webhook_for(
    state: State, repository: Repository, host_token: str, public_url: str, *, is_away: bool = False
) -> Webhook:
    """The webhook is made on the host where its token allows that; else the user is told what to enter there.

    `public_url`: the root under which git hosts reach us. `is_away`: the host did not answer before and is not asked.
    """
    address, secret = webhook_address(repository, public_url), webhook_secret(state, repository)
    if is_away:
        return Webhook(address, secret, _AWAY)
    if not host_token:
        return Webhook(address, secret, _BY_HAND)
    try:
        made = host(repository.host).create_webhook(repository, host_token, address, secret)
    except (HostRefusedError, HostUnavailableError) as error:
        note = Text(
            en=f"The webhook could not be made with this token ({error}). {_BY_HAND.en}",
            zh=f"无法使用此令牌创建 Webhook（{error}）。{_BY_HAND.zh}",
        )
        return Webhook(address, secret, note)
    return Webhook(address, "") if made else Webhook(address, secret, _BY_HAND)


def webhook_address(repository: Repository, public_url: str) -> str:
    return f"{public_url.rstrip('/')}/hooks/{repository.host}/{repository.full_name}"


def webhook_secret(state: State, repository: Repository) -> str:
    """The secret there is, or a new one."""
    return state.secrets.get(webhook_secret_name(repository.full_name)) or new_secret(state, repository)


def new_secret(state: State, repository: Repository) -> str:
    secret = host(repository.host).new_secret()
    state.secrets.put(webhook_secret_name(repository.full_name), secret)
    return secret


def is_on_our_host(repository: Repository) -> bool:
    root = settings().git_base_url.rstrip("/")
    return bool(root) and repository.clone_url == f"{root}/{repository.full_name}.git"


def prepare_our_host(state: State, repository: Repository) -> None:
    """Our own host reads the row and the secrets by itself: nobody has to copy anything."""
    name = repository.full_name
    if state.secrets.get(host_token_name(name)) is None:
        secret, _ = issue_token(state.table, repository.owner, [Scope.READ, Scope.WRITE], name=f"platform {name}"[:100])
        state.secrets.put(host_token_name(name), f"{repository.owner}:{secret}")
    if repository.kind is RepositoryKind.PROJECT:
        webhook_secret(state, repository)
