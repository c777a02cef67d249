"""Rows of several kinds that wait for an answer: pushes, checks and inspections."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trainyard.model.asked import Asked
from trainyard.model.check import Check
from trainyard.model.repository import Push
from trainyard.model.run import Run
from trainyard.model.storage import StorageTask
from trainyard.store.table.checks import check_item
from trainyard.store.table.cursors import Page
from trainyard.store.table.inspections import storage_task_item
from trainyard.store.table.pushes import push_item
from trainyard.store.table.rows import Rows


class AskedRows(Rows):
    def unanswered(self, limit: int = 100, cursor: str | None = None) -> Page[Asked]:
        """Pushes, checks and inspections without an answer, oldest first."""
        items, following = self._find_active("asked", limit, cursor)
        return Page([row for row in map(row_of, items) if row is not None and not isinstance(row, Run)], following)

    def nudge(self, row: Asked) -> bool:
        """Have it said again. False if it was answered meanwhile. Nothing else of it changes before that."""
        item = asked_item(row.model_copy(update={"nudges": row.nudges + 1}))
        asked = {":asked": {"S": "asked"}}
        return self._put_if(
            {
                "TableName": self.name,
                "Item": item,
                "ConditionExpression": "active = :asked",
                "ExpressionAttributeValues": asked,
            }
        )

    def mark_answered(self, row: Check | StorageTask, at: datetime) -> None:
        """Nobody needs to ask again. A second time it does nothing, nor where the row's own time has run out."""
        if row.answered_at is not None:
            return
        item = asked_item(row.model_copy(update={"answered_at": at}))
        self._put_if({"TableName": self.name, "Item": item, "ConditionExpression": "attribute_exists(pk)"})


def row_of(image: dict[str, Any] | None) -> Run | Asked | None:
    """The run, push, check or inspection in an item or a stream record's image; None for others and for none."""
    if not image:
        return None
    document = image["document"]["S"]
    match image["kind"]["S"]:
        case "run":
            return Run.model_validate_json(document)
        case "push":
            return Push.model_validate_json(document)
        case "check":
            return Check.model_validate_json(document)
        case "storage":
            return StorageTask.model_validate_json(document)
    return None


def asked_item(row: Asked) -> dict[str, Any]:
    match row:
        case Push():
            return push_item(row)
        case Check():
            return check_item(row)
        case StorageTask():
            return storage_task_item(row)
