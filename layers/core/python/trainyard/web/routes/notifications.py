"""Who is told of a project's runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trainyard.intake.notifications import (
    NewNotification,
    add_notification,
    list_notifications,
    notification,
    remove_notification,
)
from trainyard.intake.permissions import writable_repository
from trainyard.model.notification import Notification
from trainyard.reporting.notifications import try_out
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, body, route
from trainyard.web.views import MadeNotification, NotificationList, TriedNotification


@route(
    "POST",
    "/v1/projects/{owner}/{name}/notifications",
    status=201,
    takes=NewNotification,
    gives=MadeNotification,
)
def add(call: Call) -> Answer:
    """A webhook's secret is in this answer and never again."""
    made = add_notification(call.state, call.repository, call.token, body(call, NewNotification))
    return Answer(201, {**_shown(made.notification), "secret": made.secret})


@route("GET", "/v1/projects/{owner}/{name}/notifications", gives=NotificationList)
def show_all(call: Call) -> Answer:
    found = list_notifications(call.state, call.repository, call.token)
    return Answer(200, {"notifications": [_shown(one) for one in found]})


@route("DELETE", "/v1/projects/{owner}/{name}/notifications/{notification}", status=204)
def remove(call: Call) -> Answer:
    remove_notification(call.state, call.repository, call.token, call.place["notification"])
    return Answer(204)


@route("POST", "/v1/projects/{owner}/{name}/notifications/{notification}/test", gives=TriedNotification)
def try_one(call: Call) -> Answer:
    """Send a message of the type `test` now, and say what became of it."""
    repository = writable_repository(call.state.table, call.repository, call.token)
    found = notification(repository, call.place["notification"])
    refusal = try_out(call.state, repository.full_name, found, datetime.now(UTC))
    return Answer(200, {"arrived": refusal is None, "reason": refusal})


def _shown(one: Notification) -> dict[str, Any]:
    return one.model_dump(mode="json")
