"""Rows of any kind that are brought back to what they were."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from trainyard.store.table.rows import Rows, is_met

_PUT_BACK = "put_back"


class PutBack(StrEnum):
    """What came of bringing a row to a former state."""

    WRITTEN = "written"
    REMOVED = "removed"
    SAME = "same"
    NEWER = "newer"
    """It has been changed since, and was left alone."""


class RestoredRows(Rows):
    @staticmethod
    def without_mark(item: dict[str, Any]) -> dict[str, Any]:
        """The row as the one who changed it wrote it, whether or not it was put back since."""
        return {name: value for name, value in item.items() if name != _PUT_BACK}

    def put_back(
        self, pk: str, row: dict[str, Any] | None, is_former: Callable[[dict[str, Any]], bool], *, write: bool = True
    ) -> PutBack:
        """Bring one row to `row`, or remove it for None, if it is absent or `is_former` knows what it is now.

        It carries a mark, by which `publish_changes` knows that nothing new has happened. Without `write` it only says
        what would come of it.
        """
        there = self._item(pk)
        if (self.without_mark(there) if there else None) == row:
            return PutBack.SAME
        if there is not None and not is_former(there):
            return PutBack.NEWER
        if write and not self._replace(there, row):
            return PutBack.NEWER
        return PutBack.REMOVED if row is None else PutBack.WRITTEN

    def _replace(self, there: dict[str, Any] | None, row: dict[str, Any] | None) -> bool:
        """False if somebody else was quicker."""
        if there is None:
            condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        elif "document" in there:
            known = {":known": there["document"]}
            condition = {"ConditionExpression": "document = :known", "ExpressionAttributeValues": known}
        else:
            condition = {"ConditionExpression": "attribute_exists(pk)"}
        if row is not None:
            return self._put_if({"TableName": self.name, "Item": {**row, _PUT_BACK: {"BOOL": True}}, **condition})
        assert there is not None
        return is_met(self._dynamodb.delete_item, {"TableName": self.name, "Key": {"pk": there["pk"]}, **condition})


def is_put_back(image: dict[str, Any] | None) -> bool:
    """Whether a stream record's image is of a row that was brought back, which is no news."""
    return image is not None and _PUT_BACK in image
