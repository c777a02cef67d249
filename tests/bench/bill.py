"""What AWS would bill for what was done on the embedded stack: the calls and the functions' own log lines, priced."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

from infra.local.emulator.client import client
from infra.local.stack import Stack

_REPORT = re.compile(r"REPORT RequestId.*?\tDuration: ([\d.]+) ms.*?Memory Size: (\d+) MB")
_KB = 1024
Row = dict[str, Any]
"""As `infra.local.emulator.calls.Sent` tells of it."""
# CloudWatch adds so much to each line.
_LINE_OVERHEAD = 26


@dataclass(frozen=True)
class Invocation:
    """One call of a function."""

    function: str
    """Its logical id."""
    began: float
    ended: float
    """Seconds of the epoch."""
    memory: int
    """MB."""

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def invocations(stack: Stack, since: float) -> list[Invocation]:
    """What the functions' REPORT lines say, in the order of their beginning."""
    found = []
    for function, event in _log_events(stack, since):
        if said := _REPORT.search(event["message"]):
            ended = event["timestamp"] / 1000
            found.append(Invocation(function, ended - float(said[1]) / 1000, ended, int(said[2])))
    return sorted(found, key=lambda each: each.began)


def billed(stack: Stack, calls: Iterable[dict[str, Any]], since: float) -> dict[str, float]:
    """Name of a price -> units of what happened since then."""
    units: Counter[str] = Counter()
    writes = _Writes(stack)
    for call in calls:
        _add_call(units, call, writes)
    called = invocations(stack, since)
    fed_by_queues = _fed_by_queues(stack)
    units["lambda requests"] = len(called)
    units["lambda time"] = sum(ceil(each.seconds * 1000) / 1000 * each.memory / 1024 for each in called)
    # What Lambda's pollers do: each message is sent, received and deleted. What they ask of an empty queue is idle cost.
    units["sqs requests"] = 3 * sum(each.function in fed_by_queues for each in called)
    units["http api requests"] = sum(each.function == "ReceivePush" for each in called)
    units["logs"] += sum(len(event["message"]) + _LINE_OVERHEAD for _, event in _log_events(stack, since)) / 1e9
    return dict(units)


def _add_call(units: Counter[str], call: dict[str, Any], writes: _Writes) -> None:
    match call["service"], call["operation"]:
        case "dynamodb", "PutItem" | "TransactWriteItems" as operation:
            twice = operation == "TransactWriteItems"
            units["dynamodb writes"] += sum(writes.of(row, twice=twice) for row in call["sent"])
        case "dynamodb", "GetItem" | "BatchGetItem" | "Query":
            units["dynamodb reads"] += read_units(call)
        case "dynamodb", _:
            units["dynamodb writes"] += 1
        case "events", _ if call["caller"] != "(outside)":  # what AWS's own services say is free
            units["eventbridge events"] += sum(ceil(event["size"] / (64 * _KB)) for event in call["sent"])
        case "s3", "GetObject" | "HeadObject":
            units["s3 reads"] += 1
        case "s3", operation if not operation.startswith("Delete"):
            units["s3 writes"] += 1
        case "logs", _:
            units["logs"] += sum(event["size"] for event in call["sent"]) / 1e9


def read_units(call: dict[str, Any]) -> float:
    """What DynamoDB would bill for a read, by the bytes that came back: the emulator bills every query the same."""
    units = max(1, ceil(call["returned"] / (4 * _KB)))
    # Queries are of indexes: eventually consistent, where all others are consistent.
    return units / 2 if call["operation"] == "Query" else float(units)


class _Writes:
    """Write units of rows and of their places in indexes.

    An index that holds keys alone is written when a row comes, goes or moves there, one that holds whole rows with each
    change. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
    """

    def __init__(self, stack: Stack) -> None:
        dynamodb = client(stack.addresses.endpoint, "dynamodb")
        table = dynamodb.describe_table(TableName=stack.addresses.outputs["TableName"])["Table"]
        self._indexes = [
            ([key["AttributeName"] for key in index["KeySchema"]], index["Projection"]["ProjectionType"] == "ALL")
            for index in table["GlobalSecondaryIndexes"]
        ]
        self._written: dict[str, Row] = {}

    def of(self, row: Row, *, twice: bool) -> int:
        """`twice`: in a transaction, where the row itself is billed for being prepared as well."""
        before = self._written.get(row["attributes"]["pk"])
        self._written[row["attributes"]["pk"]] = row
        units = ceil(max(row["size"], before["size"] if before else 0) / _KB)
        written = units * (2 if twice else 1)
        for keys, holds_rows in self._indexes:
            was, now = _place(before, keys), _place(row, keys)
            touched = len({was, now} - {None}) if was != now or holds_rows else 0
            written += touched * (units if holds_rows else 1)
        return written


def _place(row: Row | None, keys: list[str]) -> tuple[str, ...] | None:
    """Where it stands in the index of these keys."""
    if row is None or not row["attributes"].keys() >= set(keys):
        return None
    return tuple(row["attributes"][key] for key in keys)


def _fed_by_queues(stack: Stack) -> set[str]:
    pages = client(stack.addresses.endpoint, "lambda").get_paginator("list_event_source_mappings").paginate()
    names = {
        mapping["FunctionArn"].rpartition(":")[2]
        for page in pages
        for mapping in page["EventSourceMappings"]
        if ":sqs:" in mapping["EventSourceArn"]
    }
    return {logical for logical, name in stack.addresses.functions.items() if name in names}


def _log_events(stack: Stack, since: float) -> list[tuple[str, dict[str, Any]]]:
    """Logical id of the function and a line of its log."""
    logs = client(stack.addresses.endpoint, "logs")
    functions = client(stack.addresses.endpoint, "lambda")
    found = []
    for logical, name in stack.addresses.functions.items():
        known = functions.get_function_configuration(FunctionName=name)
        group = known.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(since * 1000))
        found += [(logical, event) for page in pages for event in page["events"]]
    return found
