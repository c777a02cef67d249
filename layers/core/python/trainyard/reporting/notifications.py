"""Projects tell others of their runs: signed webhooks and SNS topics.

Webhooks are signed as Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks. A message has the same
id whenever it is sent, so that a receiver that hears it twice can tell.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from aws_lambda_powertools import Logger

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.requests import send
from trainyard.hosts.standard_webhooks import key_of, signature
from trainyard.model.errors import UserError
from trainyard.model.event_name import EventName
from trainyard.model.events import RunEvent
from trainyard.model.notification import TEST, Channel, Notification
from trainyard.model.run import Run
from trainyard.model.settings import settings
from trainyard.store import State
from trainyard.store.secrets import notification_secret_name

logger = Logger()
_REMEMBERED = timedelta(days=7)
"""Longer than a message can wait in a queue and its dead-letter queue's redrive."""
_ANSWER_BYTES = 2048
_LIKE_A_SECRET = 16
"""Characters."""
_SUBJECT_CHARACTERS = 100


def notify(state: State, event: EventName, told: RunEvent, *, is_last_try: bool, at: datetime | None = None) -> None:
    """Tell every place of the run's project that wants to hear of `event`; a place that was told is not told again.

    Raises:
        HostUnavailableError: a place could not be reached; the event is to be delivered again. Never on the last try:
            an address that somebody entered here must not fill a dead-letter queue.
    """
    repository = state.table.repository(told.project)
    wanted = [one for one in repository.notifications if event in one.events] if repository else []
    if not wanted:
        return
    run = state.table.run(told.run_id)
    if run is None or run.deleted_at is not None:
        return
    now = at or datetime.now(UTC)
    unreached = [one for one in wanted if not _told_once(state, one, event, told, run, now)]
    if unreached and not is_last_try:
        raise HostUnavailableError(f"not reached: {', '.join(one.id for one in unreached)}")


def try_out(state: State, project: str, notification: Notification, at: datetime) -> str | None:
    """Send a message of the type `test` now; None if it was taken, else why not."""
    body = {"type": TEST, "timestamp": at.isoformat(), "data": {"project": project}}
    try:
        _send(state, project, notification, f"{TEST}-{notification.id}-{int(at.timestamp())}", body, at)
    except (HostRefusedError, HostUnavailableError, UserError) as error:
        return str(error)
    return None


def _told_once(
    state: State, notification: Notification, event: EventName, told: RunEvent, run: Run, at: datetime
) -> bool:
    """False if it could not be reached. What it refuses for good it would refuse every time."""
    # What happens once is told once, even if the sweep had it said again.
    number = told.attempt if event in (EventName.RUN_FINISHED, EventName.RUN_INDEXED) else told.version
    message_id = f"{told.run_id}-{number}-{event.value}"
    mark = f"told#{notification.id}#{message_id}"
    if state.table.is_marked(mark):
        return True
    try:
        _send(state, told.project, notification, message_id, message(event, told, run), at)
    except HostUnavailableError as error:
        logger.warning("a notification did not arrive", extra={"notification": notification.id, "reason": str(error)})
        return False
    except (HostRefusedError, UserError) as error:
        logger.warning("a notification was refused", extra={"notification": notification.id, "reason": str(error)})
    state.table.mark(mark, int((at + _REMEMBERED).timestamp()))
    return True


def message(event: EventName, told: RunEvent, run: Run) -> dict[str, Any]:
    """What is sent: the event as it is on the bus, and what a person wants to know at once."""
    root = settings().public_url
    return {
        "type": event.value,
        "timestamp": told.at.isoformat(),
        "data": {
            **told.model_dump(mode="json"),
            "requested_by": run.requested_by,
            "ref": run.ref,
            "failure": run.failure.message.model_dump() if run.failure else None,
            "best": json.loads(run.evaluation.model_dump_json())["best"],
            "url": f"{root}/runs/{run.id}" if root else "",
        },
    }


def _send(
    state: State, project: str, notification: Notification, message_id: str, body: dict[str, Any], at: datetime
) -> None:
    if notification.channel is Channel.SNS:
        _publish(notification.target, body)
        return
    data = json.dumps(body, ensure_ascii=False).encode()
    secret = state.secrets.get(notification_secret_name(project, notification.id), max_age=60)
    if not secret:
        raise HostRefusedError(notification.id, 0, "its secret is gone; remove it and add it again")
    timestamp = int(at.timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(key_of(secret), message_id.encode(), str(timestamp).encode(), data),
    }
    # Some services know who is there by an address that nobody else knows.
    path = urlsplit(notification.target).path.strip("/")
    secrets = [part for part in (path, *path.split("/")) if len(part) >= _LIKE_A_SECRET]
    send(notification.target, data, headers, method="POST", largest=_ANSWER_BYTES, secrets=secrets)


def _publish(topic: str, body: dict[str, Any]) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    from trainyard.clients import client

    data = body["data"]
    subject = f"{body['type']}: {data.get('name', data['project'])} {data.get('state', '')}".strip()
    try:
        client("sns", topic.split(":")[3]).publish(
            TopicArn=topic,
            Subject=subject[:_SUBJECT_CHARACTERS],
            Message=json.dumps(body, ensure_ascii=False),
            MessageAttributes={"type": {"DataType": "String", "StringValue": body["type"]}},
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("NotFound", "AuthorizationError", "AuthorizationErrorException", "InvalidParameter"):
            raise HostRefusedError("sns", error.response["ResponseMetadata"]["HTTPStatusCode"], code) from None
        raise HostUnavailableError(f"sns: {code}") from error
    except BotoCoreError as error:
        raise HostUnavailableError(f"sns: {type(error).__name__}") from error
