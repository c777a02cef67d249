"""A project's places to be told: added, listed, removed by those who may write in it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from trainyard.hosts.addresses import checked_address
from trainyard.hosts.standard_webhooks import new_signing_key
from trainyard.intake.permissions import writable_project
from trainyard.model.errors import Conflict, InvalidInput, NotFound
from trainyard.model.event_name import EventName
from trainyard.model.notification import ANNOUNCED, USUAL, Channel, Notification
from trainyard.model.repository import AccessToken, Repository
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.secrets import notification_secret_name

MOST = 10
_NO_PROJECT = Text(en="Only projects have runs to tell of.", zh="只有项目才有训练可以通知。")


class NewNotification(BaseModel):
    """A place that is to hear of a project's runs."""

    model_config = ConfigDict(extra="forbid")

    target: str = Field(max_length=500, description="An https address, or the ARN of an SNS topic.")
    events: list[EventName] = Field(
        list(USUAL), min_length=1, max_length=20, description="Which of the events `run.*`; the ends, if left out."
    )


@dataclass(frozen=True)
class Added:
    notification: Notification
    secret: str | None
    """What a webhook is signed with; shown this once. None for a topic."""


def add_notification(
    state: State, project: str, token: AccessToken | None, wanted: NewNotification, now: datetime | None = None
) -> Added:
    """Tell `wanted.target` from now on.

    Raises:
        Unauthenticated, NotFound, Forbidden: see `writable_repository`.
        InvalidInput: neither an https address nor a topic, or an event that nobody can hear of.
        Conflict: the project has as many as it may have.
    """
    repository = writable_project(state.table, project, token, _NO_PROJECT)
    assert token is not None
    channel = Channel.SNS if wanted.target.startswith("arn:") else Channel.WEBHOOK
    _check(channel, wanted)
    made = Notification(
        id=secrets.token_hex(6),
        channel=channel,
        target=wanted.target,
        events=list(dict.fromkeys(wanted.events)),
        created_by=token.user,
        created_at=now or datetime.now(UTC),
    )
    secret = None
    if channel is Channel.WEBHOOK:
        secret = new_signing_key()
        # The secret first: a place without one could never be told anything.
        state.secrets.put(notification_secret_name(repository.full_name, made.id), secret)
    changed = state.table.change_repository(repository.full_name, lambda known: _with(known, made))
    if changed is None or made not in changed.notifications:
        state.secrets.delete(notification_secret_name(repository.full_name, made.id))
        raise _too_many()
    return Added(made, secret)


def list_notifications(state: State, project: str, token: AccessToken | None) -> list[Notification]:
    """Only for those who may write: addresses may hold what not everybody should know."""
    return writable_project(state.table, project, token, _NO_PROJECT).notifications


def remove_notification(state: State, project: str, token: AccessToken | None, notification_id: str) -> None:
    """NotFound if there is none of that id; else the errors of `writable_repository`."""
    repository = writable_project(state.table, project, token, _NO_PROJECT)
    gone = notification(repository, notification_id)
    state.table.change_repository(
        repository.full_name,
        lambda known: known.model_copy(update={"notifications": [one for one in known.notifications if one != gone]}),
    )
    if gone.channel is Channel.WEBHOOK:
        state.secrets.delete(notification_secret_name(repository.full_name, gone.id))


def notification(repository: Repository, notification_id: str) -> Notification:
    for one in repository.notifications:
        if one.id == notification_id:
            return one
    raise NotFound(Text(en="The project has no notification of that id.", zh="该项目没有此编号的通知。"))


def _check(channel: Channel, wanted: NewNotification) -> None:
    if channel is Channel.WEBHOOK:
        checked_address(wanted.target, "target")
    elif wanted.target not in settings().notification_topics:
        # Published to with the installation's own rights, so only what the operator opened.
        raise InvalidInput(
            Text(
                en="The operator has not opened that topic for projects (parameter NotificationTopics). Ask for it.",
                zh="管理员尚未向项目开放此主题（参数 NotificationTopics）。请联系管理员。",
            ),
            details={"field": "target"},
        )
    if not set(wanted.events) <= set(ANNOUNCED):
        raise InvalidInput(
            Text(
                en=f"Choose among {', '.join(ANNOUNCED)}.",
                zh=f"请从以下事件中选择：{'、'.join(ANNOUNCED)}。",
            ),
            details={"field": "events"},
        )


def _with(repository: Repository, made: Notification) -> Repository:
    if len(repository.notifications) >= MOST:
        return repository
    return repository.model_copy(update={"notifications": [*repository.notifications, made]})


def _too_many() -> Conflict:
    return Conflict(
        Text(
            en=f"A project has at most {MOST} notifications. Remove one first.",
            zh=f"每个项目最多 {MOST} 个通知。请先移除一个。",
        ),
        code="too_many_notifications",
    )
