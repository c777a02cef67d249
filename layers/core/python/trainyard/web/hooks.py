"""POST /hooks/{host}/{owner}/{name}: a git host's webhook. POST /hooks/smn: Huawei Cloud's SMN."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trainyard.intake.deliveries import MAX_BODY_BYTES, receive_delivery
from trainyard.store import state
from trainyard.tracking.wake import MAX_MESSAGE_BYTES, hear
from trainyard.web.errors import answered
from trainyard.web.messages import Answer, read_request

SMN_PATH = "/hooks/smn"


def handle_hook(event: dict[str, Any]) -> dict[str, Any]:
    """202 with what became of the delivery; 401, 404, 413 or 422 as `receive_delivery` and `hear` say."""

    def hear_smn() -> Answer:
        heard = hear(state(), read_request(event, MAX_MESSAGE_BYTES).body, datetime.now(UTC))
        return Answer(202, {"kind": heard})

    def receive() -> Answer:
        request = read_request(event, MAX_BODY_BYTES)
        place = event["pathParameters"]
        repository = f"{place['owner']}/{place['name']}"
        receipt = receive_delivery(state(), place["host"], repository, request.headers, request.body, datetime.now(UTC))
        return Answer(202, {"kind": receipt.kind, "pushes": receipt.pushes, "reason": receipt.reason})

    return answered(hear_smn if event["rawPath"] == SMN_PATH else receive, "en")
