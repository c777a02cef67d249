"""The metrics of a run become its evaluation and verdict."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from trainyard.delivery import BusEvent, consume
from trainyard.evaluation.verdict import judge_run
from trainyard.model.events import RunEvent
from trainyard.store import state


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return consume(event, context, _evaluate)


def _evaluate(event: BusEvent, _message_id: str) -> None:
    judge_run(state(), RunEvent.model_validate(event.detail).run_id)
