"""How the messages of a queue reach the one call that a function makes.

Every consumer's queue carries EventBridge events. Each is handled by itself: one that fails goes back to the queue and,
after its last try, to the dead-letter queue; the others of its batch are done.

A queue's visibility timeout is six times its function's own limit, 90 minutes where a log is indexed. That is for a
function that was killed. One that failed knows that it did, and asks for the message soon, because an answer of AWS
that got lost has passed in a moment; then later and later, and at last after that timeout.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

from trainyard.clients import client

logger = Logger()
MOST_TRIES = 5
"""`maxReceiveCount` of every consumer's queue; a test holds the two together."""
PAUSES_SECONDS = (15, 60, 240)
"""Until a message comes back after its first tries; after a further one as long as its queue says."""
_LONGEST_PAUSE_SECONDS = 11 * 3600
"""SQS allows twelve hours from when it handed a message out."""


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
        except Exception as error:
            logger.exception("the message goes back to its queue")
            _bring_back(record, tries, getattr(error, "asked_seconds", 0.0))
            raise

    return dict(process_partial_response(event=event, record_handler=one, processor=processor, context=context))


def _bring_back(record: SQSRecord, tries: int, asked: float) -> None:
    """Say when the message is to be handed out again. `asked`: seconds that a git host wants to be left alone."""
    if tries > len(PAUSES_SECONDS):
        return
    own = PAUSES_SECONDS[tries - 1] * random.uniform(0.75, 1.25)  # noqa: S311  spreads retries, hides nothing
    account, name = record.event_source_arn.rsplit(":", 2)[1:]
    try:
        sqs = client("sqs", tries=2)
        sqs.change_message_visibility(
            QueueUrl=f"{sqs.meta.endpoint_url}/{account}/{name}",
            ReceiptHandle=record.receipt_handle,
            VisibilityTimeout=round(min(max(own, asked), _LONGEST_PAUSE_SECONDS)),
        )
    except Exception:
        logger.exception("the message comes back only when its queue says so")
