"""A push arrives, by webhook or as an event of CodeCommit: it is stored before anything is done with it.

So does what else is signed instead of carrying a token: SMN's word that a job at ModelArts has ended.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from trainyard.delivery import BusEvent, consume
from trainyard.intake.deliveries import receive_event
from trainyard.store import state
from trainyard.web.hooks import handle_hook


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    # The queue and the HTTP API both call this function, each in its own words.
    return consume(event, context, _receive) if "Records" in event else handle_hook(event)


def _receive(event: BusEvent, _message_id: str) -> None:
    receive_event(state(), event.model_dump(by_alias=True), datetime.now(UTC))
