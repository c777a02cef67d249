"""The git host is told where a run stands, one commit status per change, and whoever else wants to hear of it."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from trainyard.delivery import MOST_TRIES, BusEvent, consume
from trainyard.model.event_name import EventName
from trainyard.model.events import RunEvent
from trainyard.reporting.notifications import notify
from trainyard.reporting.statuses import report_run
from trainyard.store import state


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return consume(event, context, _report)


def _report(event: BusEvent, message_id: str) -> None:
    told = RunEvent.model_validate(event.detail)
    report_run(state(), told.run_id, message_id)
    notify(state(), EventName(event.detail_type), told, is_last_try=event.tries >= MOST_TRIES)
