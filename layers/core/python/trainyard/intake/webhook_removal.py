"""The webhook of a project that is removed: its host is to forget it. The repository there is never touched."""

from __future__ import annotations

from dataclasses import dataclass

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.registry import host
from trainyard.intake.webhooks import is_on_our_host, webhook_address
from trainyard.model.errors import UserError
from trainyard.model.repository import Repository, RepositoryKind
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.secrets import host_token_name


@dataclass(frozen=True)
class Left:
    """What stays on the host."""

    told: Text | None
    """What that is and what to do about it; None where nothing of ours stays."""
    try_again: bool = False
    """The host was away just now."""


NOTHING = Left(None)


def remove_webhook(state: State, repository: Repository, public_url: str, *, is_first_try: bool) -> Left:
    """Take the webhook away with the host's token, if there is one. Who is away at the second try as well is given up.

    `public_url`: the root under which git hosts reach us, as it was when the webhook was made.
    """
    if repository.kind is not RepositoryKind.PROJECT or is_on_our_host(repository):
        return NOTHING
    if not host(repository.host).needs_token:  # we hear of pushes there in another way
        return NOTHING
    address = webhook_address(repository, public_url)
    token = state.secrets.get(host_token_name(repository.full_name))
    if not token:
        return Left(_may_stay(address)) if is_first_try else NOTHING
    return _removed(repository, token, address, is_first_try=is_first_try)


def _removed(repository: Repository, token: str, address: str, *, is_first_try: bool) -> Left:
    try:
        host(repository.host).remove_webhook(repository, token, address)
    except HostUnavailableError as error:
        return Left(_is_away(address), try_again=True) if is_first_try else Left(_stays(address, _as_it_says(error)))
    except HostRefusedError as error:
        return Left(_stays(address, _as_it_says(error)))
    except UserError as error:  # its address is none that we connect to any more
        return Left(_stays(address, error.message))
    return NOTHING


def _may_stay(address: str) -> Text:
    return Text(
        en="No token of the git host is known here. If a webhook was entered there by hand, remove it in the "
        f"repository's settings: {address}",
        zh=f"此处没有该 Git 平台的令牌。如果曾在该平台手动添加 Webhook，请在仓库设置中将其删除：{address}",
    )


def _is_away(address: str) -> Text:
    return Text(
        en=f"The git host did not answer just now, and the webhook is still there: {address}. "
        "Send the same request again: it tries once more and finishes.",
        zh=f"Git 平台暂时没有响应，其 Webhook 仍然存在：{address}。请重新发送同一请求：系统会再试一次并完成删除。",
    )


def _stays(address: str, reason: Text) -> Text:
    return Text(
        en=f"The webhook stays on the git host ({reason.en}). Remove it in the repository's settings there: {address}",
        zh=f"Webhook 仍保留在 Git 平台上（{reason.zh}）。请在该平台的仓库设置中将其删除：{address}",
    )


def _as_it_says(error: Exception) -> Text:
    return Text(en=str(error), zh=str(error))
