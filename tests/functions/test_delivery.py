"""A message that could not be handled comes back soon, and not only when its queue's visibility timeout is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from trainyard.clients import client
from trainyard.delivery import MOST_TRIES, consume
from trainyard.hosts.contract import HostUnavailableError

QUEUE_SECONDS = 1800
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
BODY = json.dumps({"source": "trainyard", "detail-type": "run.admitted", "detail": {}})


@pytest.fixture
def queue(aws: None) -> Iterator[str]:
    client.cache_clear()
    yield client("sqs").create_queue(QueueName="work", Attributes={"VisibilityTimeout": str(QUEUE_SECONDS)})["QueueUrl"]
    client.cache_clear()


def taken(queue: str) -> dict[str, Any] | None:
    found = client("sqs").receive_message(QueueUrl=queue, MessageSystemAttributeNames=["ApproximateReceiveCount"])
    return dict(found["Messages"][0]) if found.get("Messages") else None


def handled(message: dict[str, Any], error: Exception | None) -> list[str]:
    """Ids of the messages that go back to their queue."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:work",
    }

    def handle(*_: object) -> None:
        if error is not None:
            raise error

    answer = consume({"Records": [record]}, SimpleNamespace(), handle)  # type: ignore[arg-type]
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def back_after(queue: str, error: Exception, clock: time_machine.Coordinates) -> float:
    """Seconds, to a step of five, until a message that failed is handed out again; its next try fails, too."""
    began = datetime.now(UTC)
    while (message := taken(queue)) is None:
        assert datetime.now(UTC) - began < timedelta(hours=13)
        clock.shift(5)
    assert handled(message, error) == [message["MessageId"]]
    return (datetime.now(UTC) - began).total_seconds()


def test_each_try_waits_longer_and_the_last_as_long_as_the_queue_says(queue: str) -> None:
    with time_machine.travel(BEGAN, tick=False) as clock:
        client("sqs").send_message(QueueUrl=queue, MessageBody=BODY)
        waits = [back_after(queue, RuntimeError("lost"), clock) for _ in range(MOST_TRIES)]
    assert waits[0] == 0
    assert waits[1] <= 25
    assert 45 <= waits[2] <= 80
    assert 180 <= waits[3] <= 305
    assert waits[4] == pytest.approx(QUEUE_SECONDS, abs=5)


def test_a_host_that_asks_for_patience_has_it(queue: str) -> None:
    with time_machine.travel(BEGAN, tick=False) as clock:
        client("sqs").send_message(QueueUrl=queue, MessageBody=BODY)
        back_after(queue, HostUnavailableError("asks to wait", 900.0), clock)
        assert back_after(queue, RuntimeError("lost"), clock) == pytest.approx(900, abs=5)


def test_where_that_cannot_be_said_the_queue_decides(queue: str) -> None:
    client("sqs").send_message(QueueUrl=queue, MessageBody=BODY)
    message = taken(queue)
    assert message is not None
    assert handled({**message, "ReceiptHandle": "of another"}, RuntimeError("lost")) == [message["MessageId"]]
    assert taken(queue) is None


def test_what_was_handled_is_left_to_lambda(queue: str) -> None:
    client("sqs").send_message(QueueUrl=queue, MessageBody=BODY)
    message = taken(queue)
    assert message is not None
    assert handled(message, None) == []
