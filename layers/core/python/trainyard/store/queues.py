"""Dead-letter queues: what a consumer could not do is sent back to its queue.

Not SQS's own StartMessageMoveTask: it knows only messages that came from a queue, and EventBridge, too, puts here what
it could not deliver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

DEAD = "-dead"
"""What the name of a consumer's dead-letter queue has behind the name of its queue."""
_AT_ONCE = 10


@dataclass(frozen=True)
class Redriven:
    """What became of one dead-letter queue."""

    name: str
    """Of the queue that the messages went back to."""
    moved: int
    left: int
    """Roughly: messages that are there still, handed out to somebody else or more than were to be moved."""


def dead_letter_queues(sqs: SQSClient, stack: str) -> Iterator[tuple[str, str]]:
    """(address of the dead-letter queue, address of its queue) of each consumer of a stack."""
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{stack}-")
    found = {address for page in pages for address in page.get("QueueUrls", [])}
    for address in sorted(found):
        queue = address.removesuffix(DEAD)
        if address != queue and queue in found:
            yield address, queue


def redrive(sqs: SQSClient, dead: str, queue: str, most: int) -> Redriven:
    """Send at most `most` messages back. Each is sent before it is deleted: one may come twice, none is lost."""
    moved = 0
    while moved < most:
        answer = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=min(_AT_ONCE, most - moved), WaitTimeSeconds=1)
        messages = answer.get("Messages", [])
        if not messages:
            break
        moved += _moved(sqs, dead, queue, messages)
    left = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return Redriven(queue.rsplit("/", 1)[1], moved, int(left["ApproximateNumberOfMessages"]))


def _moved(sqs: SQSClient, dead: str, queue: str, messages: list[Any]) -> int:
    sent = sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": str(number), "MessageBody": one["Body"]} for number, one in enumerate(messages)],
    )
    done = [messages[int(each["Id"])] for each in sent.get("Successful", [])]
    if done:
        sqs.delete_message_batch(
            QueueUrl=dead,
            Entries=[{"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]} for number, one in enumerate(done)],
        )
    if sent.get("Failed"):
        raise RuntimeError(f"SQS did not take {len(sent['Failed'])} messages: {sent['Failed'][0].get('Message')}")
    return len(done)
