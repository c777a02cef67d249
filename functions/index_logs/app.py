"""A run has ended: its log becomes one indexed file, its metrics and the reason of a failure are read from it."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from trainyard.delivery import BusEvent, consume
from trainyard.logs.run import index_logs
from trainyard.model.events import RunEvent
from trainyard.store import state


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return consume(event, context, _index)


def _index(event: BusEvent, _message_id: str) -> None:
    index_logs(state(), RunEvent.model_validate(event.detail).run_id)
