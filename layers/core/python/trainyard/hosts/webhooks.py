"""Making a webhook on a host, once, and taking it away: whoever connects a project again must not hear of each push
twice, and whoever removes it must not be told any more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.deliveries import text_at
from trainyard.hosts.requests import TRIES, get_json, send_json

_REMOVAL_TRIES = 2
_REMOVAL_SECONDS = 12.0
"""After these nothing more is asked: with a last request that takes its time it is over within 25 seconds."""


def ensure_webhook(
    hooks: str, hook: Mapping[str, Any], headers: Mapping[str, str], address_at: tuple[str, ...], *, update: str
) -> Any:
    """Make `hook`, or bring the one that goes to the same address up to date.

    Returns what the host answers. `hooks`: the list's address in the host's API. `address_at`: where a webhook holds
    the address that it goes to. `update`: the method that changes one. The errors of `send_json`.
    """
    for known in _those_to(text_at(hook, *address_at), hooks, headers, address_at):
        return send_json(known, hook, headers, method=update)
    return send_json(hooks, hook, headers)


def remove_webhooks(hooks: str, address: str, headers: Mapping[str, str], address_at: tuple[str, ...]) -> None:
    """Delete every webhook that goes to `address`. HostUnavailableError also where that takes too long."""
    ends_at = time.monotonic() + _REMOVAL_SECONDS
    for known in _those_to(address, hooks, headers, address_at, tries=_REMOVAL_TRIES):
        if time.monotonic() > ends_at:
            raise HostUnavailableError("removing the webhook took too long")
        try:
            send_json(known, None, headers, method="DELETE", tries=_REMOVAL_TRIES)
        except HostRefusedError as error:
            if error.status not in (404, 410):  # somebody else was quicker
                raise


def _those_to(
    address: str, hooks: str, headers: Mapping[str, str], address_at: tuple[str, ...], tries: int = TRIES
) -> Iterator[str]:
    """Addresses in the API of the webhooks that go to `address`."""
    known = get_json(hooks, headers, "per_page=100", tries=tries)
    for each in known if isinstance(known, list) else []:
        if isinstance(each, dict) and text_at(each, *address_at) == address and isinstance(each.get("id"), int):
            yield f"{hooks}/{each['id']}"
