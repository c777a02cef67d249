"""POST /hooks/{host}/{owner}/{name}: a git host's webhook."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trainyard.intake.deliveries import MAX_BODY_BYTES, receive_delivery
from trainyard.store import state
from trainyard.web.errors import answered
from trainyard.web.messages import Answer, read_request


def handle_hook(event: dict[str, Any]) -> dict[str, Any]:
    """202 with what became of the delivery; 401, 404, 413 or 422 as `receive_delivery` says."""

    def act() -> Answer:
        request = read_request(event, MAX_BODY_BYTES)
        place = event["pathParameters"]
        repository = f"{place['owner']}/{place['name']}"
        receipt = receive_delivery(state(), place["host"], repository, request.headers, request.body, datetime.now(UTC))
        return Answer(202, {"kind": receipt.kind, "pushes": receipt.pushes, "reason": receipt.reason})

    return answered(act, "en")
