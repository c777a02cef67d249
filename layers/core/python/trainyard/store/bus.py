"""The table's stream is the only thing that speaks: a changed row becomes at most one event on the bus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from trainyard.model.asked import Asked, is_asked_again
from trainyard.model.check import Check
from trainyard.model.event_name import EventName
from trainyard.model.events import SOURCE, check_event, push_event, run_event, run_event_name, storage_event
from trainyard.model.repository import Push
from trainyard.model.run import Run
from trainyard.model.storage import StorageTask
from trainyard.store.table import is_put_back, row_of

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# What PutEvents takes in one call.
_ENTRIES_PER_CALL = 10


@dataclass(frozen=True)
class Change:
    """What one stream record has to say."""

    sequence: str
    """The record's sequence number: where to start again if it cannot be said."""
    name: EventName
    detail: BaseModel


def changes_in(records: Sequence[dict[str, Any]]) -> list[Change]:
    """The events that these stream records amount to, in their order. Rows that speak to nobody are left out."""
    said = (_change_in(record) for record in records)
    return [change for change in said if change is not None]


def _change_in(record: dict[str, Any]) -> Change | None:
    images = record["dynamodb"]
    if is_put_back(images.get("NewImage")):
        return None
    old, new = row_of(images.get("OldImage")), row_of(images.get("NewImage"))
    sequence = images["SequenceNumber"]
    if isinstance(new, Run):
        name = run_event_name(old if isinstance(old, Run) else None, new)
        return Change(sequence, name, run_event(new)) if name else None
    if new is None:
        return None
    if old is None or isinstance(old, Run) or is_asked_again(old, new):
        return _question(sequence, new)
    return None


def _question(sequence: str, row: Asked) -> Change:
    match row:
        case Push():
            return Change(sequence, EventName.PUSH_RECEIVED, push_event(row))
        case Check():
            return Change(sequence, EventName.CHECK_REQUESTED, check_event(row))
        case StorageTask():
            return Change(sequence, EventName.STORAGE_ASKED, storage_event(row))


class Bus:
    """The EventBridge bus."""

    def __init__(self, name: str, client: EventBridgeClient | None = None) -> None:
        self.name = name
        self._given = client

    @property
    def _events(self) -> EventBridgeClient:
        if self._given is None:
            from trainyard.clients import client

            self._given = client("events")
        return self._given

    def send(self, changes: Sequence[Change]) -> str | None:
        """Send in order. None if all were taken, otherwise the sequence number of the first that was not.

        What lies behind that one may have been sent and will be sent again; every consumer expects repetition.
        """
        for start in range(0, len(changes), _ENTRIES_PER_CALL):
            batch = changes[start : start + _ENTRIES_PER_CALL]
            answer = self._events.put_events(Entries=[self._entry(change) for change in batch])
            for change, taken in zip(batch, answer["Entries"], strict=True):
                if taken.get("ErrorCode"):
                    return change.sequence
        return None

    def _entry(self, change: Change) -> Any:
        return {
            "EventBusName": self.name,
            "Source": SOURCE,
            "DetailType": change.name.value,
            "Detail": change.detail.model_dump_json(),
        }
