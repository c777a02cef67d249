"""What AWS Batch says about a job moves its run forward."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from trainyard.compute.aws_batch import status_of
from trainyard.compute.registry import backend
from trainyard.delivery import BusEvent, consume
from trainyard.store import state
from trainyard.tracking.watch import heard


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return consume(event, context, _track)


def _track(event: BusEvent, _message_id: str) -> None:
    heard(state(), status_of(event.detail), backend)
