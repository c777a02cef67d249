"""A push or a request is checked at its commit, and becomes runs that are admitted or rejected."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from trainyard.delivery import BusEvent, consume
from trainyard.model.event_name import EventName
from trainyard.model.events import CheckEvent, PushEvent, RunEvent, StorageEvent
from trainyard.store import state
from trainyard.validation.dry_run import answer_check
from trainyard.validation.push import validate_push
from trainyard.validation.request import validate_run
from trainyard.validation.storage import carry_out


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return consume(event, context, _validate)


def _validate(event: BusEvent, _message_id: str) -> None:
    match event.detail_type:
        case EventName.PUSH_RECEIVED:
            validate_push(state(), PushEvent.model_validate(event.detail).push_id)
        case EventName.CHECK_REQUESTED:
            answer_check(state(), CheckEvent.model_validate(event.detail).check_id)
        case EventName.STORAGE_ASKED:
            carry_out(state(), StorageEvent.model_validate(event.detail).task_id)
        case _:
            validate_run(state(), RunEvent.model_validate(event.detail).run_id)
