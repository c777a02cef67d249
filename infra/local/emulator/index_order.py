"""The emulator sorts all rows of an index's partition anew for each page of it; AWS reads only those of the page.

With 10,000 runs in a project a page of fifty took a quarter of a second, a form that asks for several 2.7 s. Here each
partition's order is kept, and the emulator's own query is shown only the rows that its page is made of.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left, bisect_right, insort
from functools import wraps
from typing import Any

Place = tuple[tuple[Any, ...], tuple[str, str]]
"""What decides an item's place in its partition, and the item's key in the table."""

_ONE_PARTITION = re.compile(r"\s*([#\w]+)\s*=\s*(:\w+)\s*")


def keep_indexes_in_order() -> None:
    """Let a query of one partition of an index read no more rows than its page has. Once, before serving."""
    from ministack.services import dynamodb

    query, members, index_item = dynamodb._query, dynamodb._index_members, dynamodb._index_item  # noqa: SLF001
    orders = IndexOrders(dynamodb)
    shown = threading.local()  # the table and the part of its index that this thread's query is to see

    @wraps(query)
    def query_of_page(data: dict[str, Any]) -> Any:
        try:
            shown.part = orders.page_of(data)
        except (AttributeError, KeyError, TypeError, ValueError):
            shown.part = None  # the request is wrong, and it is the emulator that says so
        try:
            return query(data)
        finally:
            shown.part = None

    @wraps(members)
    def members_shown(table: dict[str, Any]) -> Any:
        part = getattr(shown, "part", None)
        return part[1] if part and part[0] is table else members(table)

    @wraps(index_item)
    def index_item_in_order(table: dict[str, Any], pk: str, sk: str, item: dict[str, Any], add: bool) -> None:
        index_item(table, pk, sk, item, add)
        orders.change(table, (pk, sk), item, add=add)

    dynamodb._query = query_of_page  # noqa: SLF001  no public names; the package is pinned
    dynamodb._index_members = members_shown  # noqa: SLF001
    dynamodb._index_item = index_item_in_order  # noqa: SLF001


class IndexOrders:
    """The places of the items in each partition of each index that was asked for. `dynamodb`: the emulator's module."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self._members_of = dynamodb._index_members  # noqa: SLF001
        self._kept: dict[int, tuple[Any, dict[tuple[str, Any], list[Place]]]] = {}
        """Table -> the emulator's own members of its indexes, which are made anew now and then, and their places."""

    def page_of(self, query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The table, and the members of the index that the page may need; None for queries of another kind."""
        table = self._dynamodb._tables.get(self._dynamodb._normalize_table_name(query.get("TableName")))  # noqa: SLF001
        index, limit = query.get("IndexName"), query.get("Limit")
        asked = _ONE_PARTITION.fullmatch(query.get("KeyConditionExpression") or "")
        if not table or not index or not limit or not asked:
            return None
        hashes, sort = next(keys for name, *keys in self._dynamodb._index_key_schemas(table) if name == index)  # noqa: SLF001
        if len(hashes) != 1:
            return None
        value = query["ExpressionAttributeValues"][asked[2]]["S"]
        cursor = query.get("ExclusiveStartKey")
        behind = self._order(table, sort, cursor) if cursor else None
        places = self._places(table, index, value, sort)
        page = _next(places, behind, int(limit) + 1, forward=query.get("ScanIndexForward", True))
        return table, {index: {value: dict.fromkeys(key for _, key in page)}}

    def change(self, table: dict[str, Any], key: tuple[str, str], item: dict[str, Any], *, add: bool) -> None:
        """An item came into the table or left it."""
        members, known = self._kept.get(id(table), (None, {}))
        if not known or members is not table.get(self._dynamodb._INDEX_MEMBERS):  # noqa: SLF001
            return
        for index, hashes, sort in self._dynamodb._index_key_schemas(table):  # noqa: SLF001
            places = known.get((index, self._dynamodb._index_partition(item, hashes, sort)))  # noqa: SLF001
            if places is not None:
                _change(places, (self._order(table, sort, item), key), add=add)

    def _places(self, table: dict[str, Any], index: str, partition: str, sort: list[str]) -> list[Place]:
        members = self._members_of(table)
        if self._kept.get(id(table), (None,))[0] is not members:
            self._kept[id(table)] = (members, {})
        known = self._kept[id(table)][1]
        if (index, partition) not in known:
            keys, items = members.get(index, {}).get(partition, {}), table["items"]
            known[index, partition] = sorted((self._order(table, sort, items[pk][sk]), (pk, sk)) for pk, sk in keys)
        return known[index, partition]

    def _order(self, table: dict[str, Any], sort: list[str], item: dict[str, Any]) -> tuple[Any, ...]:
        keys = self._dynamodb._index_order_keys(table, sort)  # noqa: SLF001
        return tuple(self._dynamodb._index_order_value(item, name, kind) for name, kind in keys)  # noqa: SLF001


def _next(places: list[Place], behind: tuple[Any, ...] | None, count: int, *, forward: bool) -> list[Place]:
    """So many places behind the cursor's, or from the beginning."""

    def order(place: Place) -> tuple[Any, ...]:
        return place[0]

    if forward:
        start = 0 if behind is None else bisect_right(places, behind, key=order)
        return places[start : start + count]
    end = len(places) if behind is None else bisect_left(places, behind, key=order)
    return places[max(0, end - count) : end]


def _change(places: list[Place], place: Place, *, add: bool) -> None:
    at = bisect_left(places, place)
    there = at < len(places) and places[at] == place
    if add and not there:
        insort(places, place)
    elif there and not add:
        del places[at]
