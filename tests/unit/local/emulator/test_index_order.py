"""A page of an index is the same whether the emulator sorts everything for it or is shown the page's rows only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ministack.services import dynamodb

from infra.local.emulator.index_order import keep_indexes_in_order

TABLE = {
    "TableName": "rows",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "project", "sort")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_project",
            "KeySchema": [
                {"AttributeName": "project", "KeyType": "HASH"},
                {"AttributeName": "sort", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
keys = st.sampled_from("abcdefgh")
# A row, the project it is to be in (None: in none), its place there; or that it goes.
puts = st.tuples(keys, st.sampled_from(["p", "q", None]), st.sampled_from("12345"))
steps = st.lists(st.one_of(puts, keys, st.just("look")), max_size=40)


@pytest.fixture(scope="module")
def plain_query() -> Iterator[Any]:
    names = ("_query", "_index_members", "_index_item")
    before = {name: getattr(dynamodb, name) for name in names}
    keep_indexes_in_order()
    yield before["_query"]
    for name, function in before.items():
        setattr(dynamodb, name, function)


def pages(query: Any, project: str, limit: int, forward: bool) -> list[Any]:
    request = {
        "TableName": "rows",
        "IndexName": "by_project",
        "KeyConditionExpression": "#name = :value",
        "ExpressionAttributeNames": {"#name": "project"},
        "ExpressionAttributeValues": {":value": {"S": project}},
        "ScanIndexForward": forward,
        "Limit": limit,
    }
    found = []
    while True:
        status, _, body = query(request)
        assert status == 200, body
        found.append(json.loads(body))
        if "LastEvaluatedKey" not in found[-1]:
            return found
        request["ExclusiveStartKey"] = found[-1]["LastEvaluatedKey"]


def same(plain_query: Any) -> None:
    for project in ("p", "q", "nobody's"):
        for limit in (1, 3, 50):
            for forward in (True, False):
                asked = (project, limit, forward)
                assert pages(dynamodb._query, *asked) == pages(plain_query, *asked)


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_pages_are_the_same_whatever_was_written(plain_query: Any, steps: list[Any]) -> None:
    dynamodb._create_table(TABLE)
    try:
        for step in steps:
            if step == "look":
                same(plain_query)
            elif isinstance(step, str):
                dynamodb._delete_item({"TableName": "rows", "Key": {"pk": {"S": step}}})
            else:
                pk, project, sort = step
                placed = {"project": {"S": project}, "sort": {"S": sort}} if project else {}
                dynamodb._put_item({"TableName": "rows", "Item": {"pk": {"S": pk}, **placed}})
        same(plain_query)
    finally:
        dynamodb._delete_table({"TableName": "rows"})


def test_a_page_looks_at_its_own_rows_only(plain_query: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb._create_table(TABLE)
    for number in range(200):
        row = {"pk": {"S": f"{number}"}, "project": {"S": "p"}, "sort": {"S": f"{number:04d}"}}
        dynamodb._put_item({"TableName": "rows", "Item": row})
    pages(dynamodb._query, "p", 200, True)
    looked_at: list[Any] = []
    order = dynamodb._index_order_value
    monkeypatch.setattr(
        dynamodb, "_index_order_value", lambda item, *rest: looked_at.append(item) or order(item, *rest)
    )
    try:
        # Two keys of each of its rows, and what a cursor costs.
        for page in pages(dynamodb._query, "p", 5, True)[:-1]:
            assert len(page["Items"]) == 5
        assert len(looked_at) <= 41 * 2 * (6 + 6 + 4)
    finally:
        dynamodb._delete_table({"TableName": "rows"})
