"""How the messages of a queue reach the one call that a function makes.

Every consumer's queue carries EventBridge events. Each is handled by itself: one that fails goes back to the queue and,
after its last try, to the dead-letter queue; the others of its batch are done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

logger = Logger()
MOST_TRIES = 5
"""`maxReceiveCount` of every consumer's queue; a test holds the two together."""


class BusEvent(BaseModel):
    """An EventBridge event as a queue carries it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = ""
    region: str = ""
    source: str
    detail_type: str = Field(alias="detail-type")
    detail: dict[str, Any]
    tries: int = 1
    """How often the queue has handed it out, this time included."""


def consume(event: dict[str, Any], context: LambdaContext, handle: Callable[[BusEvent, str], None]) -> dict[str, Any]:
    """Call `handle(event, message_id)` for each message; the answer is Lambda's partial batch response."""
    # Without this, a batch in which all fail ends the function with an error, and its warm environment with it.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def one(record: SQSRecord) -> None:
        tries = int(record.attributes.approximate_receive_count or 1)
        message = BusEvent.model_validate_json(record.body).model_copy(update={"tries": tries})
        logger.append_keys(event=message.detail_type, run_id=message.detail.get("run_id"), message_id=record.message_id)
        try:
            handle(message, record.message_id)
        except Exception:
            logger.exception("the message goes back to its queue")
            raise

    return dict(process_partial_response(event=event, record_handler=one, processor=processor, context=context))
