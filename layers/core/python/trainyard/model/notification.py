"""Who is told when something becomes of a project's runs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from trainyard.model.event_name import EventName

TEST = "test"
"""The type of a message that somebody asks for to see whether it arrives."""


class Channel(StrEnum):
    WEBHOOK = "webhook"
    """A signed POST to an https address."""
    SNS = "sns"
    """A message to a topic, which tells mail addresses, queues and other functions."""


class Notification(BaseModel):
    """One place that hears of a project's runs. A webhook's secret lies among the secrets, never here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    channel: Channel
    target: str
    """An https address or a topic's ARN."""
    events: list[EventName]
    created_by: str
    created_at: datetime


ANNOUNCED = tuple(name for name in EventName if name.startswith("run."))
"""What can be heard of."""
USUAL = (EventName.RUN_REJECTED, EventName.RUN_FINISHED, EventName.RUN_EVALUATED)
"""What is heard of where nobody chose."""
