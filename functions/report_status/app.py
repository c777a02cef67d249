"""The git host is told where a run stands: one commit status per change."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from trainyard.delivery import BusEvent, consume
from trainyard.model.events import RunEvent
from trainyard.reporting.statuses import report_run
from trainyard.store import state


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return consume(event, context, _report)


def _report(event: BusEvent, message_id: str) -> None:
    report_run(state(), RunEvent.model_validate(event.detail).run_id, message_id)
