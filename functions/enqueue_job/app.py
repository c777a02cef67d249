"""An admitted run becomes exactly one job; a wish to stop reaches that job."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from trainyard.compute.registry import backend
from trainyard.delivery import BusEvent, consume
from trainyard.model.event_name import EventName
from trainyard.model.events import RunEvent
from trainyard.store import state
from trainyard.submission.submit import stop_run, submit_run
from trainyard.tracking.watch import needs_watch, switch


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return consume(event, context, _enqueue)


def _enqueue(event: BusEvent, message_id: str) -> None:
    run_id = RunEvent.model_validate(event.detail).run_id
    act = stop_run if event.detail_type == EventName.RUN_STOP_REQUESTED else submit_run
    if needs_watch(act(state(), run_id, message_id, backend), backend):
        switch(on=True)
