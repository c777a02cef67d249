"""What all kinds of rows have in common: how one is made up, read, written on a condition, and found by an index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from trainyard.model.asked import Asked, awaits_answer
from trainyard.store.table.cursors import Page, Row, read_cursor, write_cursor, wrong_cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_PROJECT = "by_project"
ACTIVE = "active"
# Two functions that write one row at the same time: the slower reads again. More tries would hide a storm.
TRIES = 8
_KEYS_PER_BATCH = 100
NOT_MET = frozenset({"None", "ConditionalCheckFailed"})


class AlreadyThereError(Exception):
    """The row that was to be created exists: a repeated request. Callers treat it as done."""


class TooManyConflictsError(RuntimeError):
    """The same row was changed by others again and again; the event is delivered once more later."""


class Rows:
    """The table, and the few calls by which all of it is read and written."""

    def __init__(self, name: str, client: DynamoDBClient | None = None) -> None:
        self.name = name
        self._given = client

    @property
    def _dynamodb(self) -> DynamoDBClient:
        if self._given is None:
            from trainyard.clients import dynamodb

            self._given = dynamodb()
        return self._given

    def _item(self, pk: str) -> Any:
        return self._dynamodb.get_item(TableName=self.name, Key=key(pk), ConsistentRead=True).get("Item")

    def _get(self, pk: str, model: type[Row]) -> Row | None:
        item = self._item(pk)
        return model.model_validate_json(item["document"]["S"]) if item else None

    def _all_or_none(self, actions: list[Any], refusals: frozenset[str] = NOT_MET) -> bool:
        """One transaction; False, and nothing written, if a condition of it does not hold.

        `refusals`: DynamoDB's reasons for which it is False and no error.
        """
        from botocore.exceptions import ClientError

        try:
            self._dynamodb.transact_write_items(TransactItems=actions)
        except ClientError as error:
            reasons = error.response.get("CancellationReasons", [])
            codes = {reason.get("Code", "None") for reason in reasons}
            if codes and codes <= refusals:
                return False
            raise
        return True

    def _create(self, item: dict[str, Any]) -> None:
        new = {"TableName": self.name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        if not self._put_if(new):
            raise AlreadyThereError(item["pk"]["S"])

    def _put_if(self, arguments: Any) -> bool:
        """Write one row; False, and nothing written, if its condition does not hold.

        A transaction of one would do the same for twice the price.
        """
        return is_met(self._dynamodb.put_item, arguments)

    def _delete(self, pk: str) -> None:
        """Silent where there is none."""
        self._dynamodb.delete_item(TableName=self.name, Key=key(pk))

    def _items(self, pks: Sequence[str]) -> dict[str, Any]:
        """Those of these rows that are there, by their keys."""
        found: dict[str, Any] = {}
        for start in range(0, len(pks), _KEYS_PER_BATCH):
            for item in self._batch([key(pk) for pk in dict.fromkeys(pks[start : start + _KEYS_PER_BATCH])]):
                found[item["pk"]["S"]] = item
        return found

    def _batch(self, keys: list[Any]) -> Iterator[Any]:
        for attempt in range(TRIES):
            asked: Any = {self.name: {"Keys": keys, "ConsistentRead": True}}
            answer: Any = self._dynamodb.batch_get_item(RequestItems=asked)
            yield from answer["Responses"].get(self.name, [])
            keys = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if not keys:
                return
            time.sleep(0.02 * 2**attempt)
        raise TimeoutError(f"DynamoDB leaves {len(keys)} rows unread")

    def _query(
        self,
        model: type[Row],
        index: str,
        attribute: str,
        value: str,
        limit: int,
        cursor: str | None,
        *,
        newest_first: bool,
    ) -> Page[Row]:
        items, following = self._find(index, attribute, value, limit, cursor, newest_first=newest_first)
        return Page([model.model_validate_json(item["document"]["S"]) for item in items], following)

    def _active(self, model: type[Row], value: str, limit: int, cursor: str | None) -> Page[Row]:
        """Rows that stand in `active` under `value`, oldest first."""
        items, following = self._find_active(value, limit, cursor)
        return Page([model.model_validate_json(item["document"]["S"]) for item in items], following)

    def _find_active(self, value: str, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
        """The index holds keys alone, so that most changes of a row leave it as it is; the rows themselves are read."""
        keys, following = self._find(ACTIVE, "active", value, limit, cursor)
        found = self._items([each["pk"]["S"] for each in keys])
        rows = [found[each["pk"]["S"]] for each in keys if each["pk"]["S"] in found]
        return [row for row in rows if row.get("active") == {"S": value}], following

    def _find(
        self, index: str, attribute: str, value: str, limit: int, cursor: str | None, *, newest_first: bool = False
    ) -> tuple[list[Any], str | None]:
        """One page of an index, and the cursor that goes on behind it."""
        from botocore.exceptions import ClientError

        arguments: dict[str, Any] = {}
        if cursor:
            arguments["ExclusiveStartKey"] = read_cursor(cursor, attribute, value)
        try:
            answer = self._dynamodb.query(
                TableName=self.name,
                IndexName=index,
                KeyConditionExpression="#name = :value",
                ExpressionAttributeNames={"#name": attribute},
                ExpressionAttributeValues={":value": {"S": value}},
                ScanIndexForward=not newest_first,
                Limit=limit,
                **arguments,
            )
        except ClientError as error:
            # A cursor that was tampered with: its key is of the right shape and yet none of this index.
            if cursor and error.response["Error"]["Code"] == "ValidationException":
                raise wrong_cursor() from None
            raise
        last = answer.get("LastEvaluatedKey")
        return list(answer["Items"]), write_cursor(last) if last else None


def key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}}


def plain_item(kind: str, pk: str, document: BaseModel) -> dict[str, Any]:
    """A row that is found by its key alone."""
    return {"pk": {"S": pk}, "kind": {"S": kind}, "document": {"S": document.model_dump_json(exclude_defaults=True)}}


def indexed_item(kind: str, pk: str, project: str, sort: str, document: BaseModel) -> dict[str, Any]:
    return plain_item(kind, pk, document) | {"project": {"S": project}, "sort": {"S": sort}}


def asked_mark(row: Asked) -> dict[str, Any]:
    """While it waits for an answer it stands in `active` as `asked`."""
    return {"active": {"S": "asked"}} if awaits_answer(row) else {}


def seconds(at: datetime) -> dict[str, str]:
    return {"N": str(int(at.timestamp()))}


def creation(table: str, item: dict[str, Any]) -> dict[str, Any]:
    """A transaction's action: the row must be new."""
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}


def next_version(table: str, item: dict[str, Any]) -> dict[str, Any]:
    """A transaction's action: the row must have the version before `item`'s; the first one must be new."""
    version = int(item["version"]["N"])
    if version == 1:
        return creation(table, item)
    before = {":before": {"N": str(version - 1)}}
    return {
        "Put": {
            "TableName": table,
            "Item": item,
            "ConditionExpression": "version = :before",
            "ExpressionAttributeValues": before,
        }
    }


def is_met(act: Callable[..., Any], arguments: Any) -> bool:
    """Whether the condition of a write of one row held, so that it was done."""
    from botocore.exceptions import ClientError

    try:
        act(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True
