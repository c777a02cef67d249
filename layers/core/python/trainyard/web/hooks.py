"""What is signed instead of carrying a token: a git host's webhook, and Huawei Cloud's SMN."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from trainyard.intake.deliveries import MAX_BODY_BYTES, receive_delivery
from trainyard.model.errors import NotFound
from trainyard.model.text import Text
from trainyard.store import state
from trainyard.tracking.wake import MAX_MESSAGE_BYTES, hear
from trainyard.web.errors import answered
from trainyard.web.messages import Answer, read_request

SMN_PATH = "/hooks/smn"


def handle_hook(event: dict[str, Any]) -> dict[str, Any]:
    """202 with what became of the delivery; 401, 404, 413 or 422 as `receive_delivery` and `hear` say."""
    return answered(lambda: _routed(event), "en")


def _hear_smn(event: dict[str, Any], _place: Mapping[str, str]) -> Answer:
    heard = hear(state(), read_request(event, MAX_MESSAGE_BYTES).body, datetime.now(UTC))
    return Answer(202, {"kind": heard})


def _receive(event: dict[str, Any], place: Mapping[str, str]) -> Answer:
    request = read_request(event, MAX_BODY_BYTES)
    repository = f"{place['owner']}/{place['name']}"
    receipt = receive_delivery(state(), place["host"], repository, request.headers, request.body, datetime.now(UTC))
    return Answer(202, {"kind": receipt.kind, "pushes": receipt.pushes, "reason": receipt.reason})


HOOKS: dict[str, Callable[[dict[str, Any], Mapping[str, str]], Answer]] = {
    SMN_PATH: _hear_smn,
    "/hooks/{host}/{owner}/{name}": _receive,
}
"""By their paths as the template has them; all are POST."""
_PATTERNS = {path: re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)) for path in HOOKS}


def _routed(event: dict[str, Any]) -> Answer:
    for path, act in HOOKS.items():
        found = _PATTERNS[path].fullmatch(event["rawPath"])
        if found:
            return act(event, found.groupdict())
    raise NotFound(Text(en="There is no such webhook. Check its address.", zh="没有此 Webhook 地址，请检查。"))
