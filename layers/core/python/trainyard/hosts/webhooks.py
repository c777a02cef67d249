"""Making a webhook on a host, once: whoever connects a project again must not hear of each push twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.hosts.deliveries import text_at
from trainyard.hosts.requests import get_json, send_json


def ensure_webhook(
    hooks: str, hook: Mapping[str, Any], headers: Mapping[str, str], address_at: tuple[str, ...], *, update: str
) -> Any:
    """Make `hook`, or bring the one that goes to the same address up to date.

    Returns what the host answers. `hooks`: the list's address in the host's API. `address_at`: where a webhook holds
    the address that it goes to. `update`: the method that changes one. The errors of `send_json`.
    """
    known = get_json(hooks, headers, "per_page=100")
    address = text_at(hook, *address_at)
    for each in known if isinstance(known, list) else []:
        if isinstance(each, dict) and text_at(each, *address_at) == address and isinstance(each.get("id"), int):
            return send_json(f"{hooks}/{each['id']}", hook, headers, method=update)
    return send_json(hooks, hook, headers)
