"""What all kinds of rows have in common: how one is made up, read, written on a condition, and found by an index."""

from __future__ import annotations

from collections.abc import Callable
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
