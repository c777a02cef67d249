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
    indexes = _index_keys(stack)
    for call in calls:
        _add_call(units, call, indexes)
    called = invocations(stack, since)
    fed_by_queues = _fed_by_queues(stack)
    units["lambda requests"] = len(called)
    units["lambda time"] = sum(ceil(each.seconds * 1000) / 1000 * each.memory / 1024 for each in called)
    # What Lambda's pollers do: each message is sent, received and deleted. What they ask of an empty queue is idle cost.
    units["sqs requests"] = 3 * sum(each.function in fed_by_queues for each in called)
    units["http api requests"] = sum(each.function == "ReceivePush" for each in called)
    units["logs"] += sum(len(event["message"]) + _LINE_OVERHEAD for _, event in _log_events(stack, since)) / 1e9
    return dict(units)


def _add_call(units: Counter[str], call: dict[str, Any], indexes: list[set[str]]) -> None:
    match call["service"], call["operation"]:
        case "dynamodb", "PutItem" | "TransactWriteItems" as operation:
            for row in call["sent"]:
                written = ceil(row["size"] / _KB)
                in_indexes = sum(keys <= set(row["attributes"]) for keys in indexes)
                units["dynamodb writes"] += written * ((2 if operation == "TransactWriteItems" else 1) + in_indexes)
        case "dynamodb", "GetItem" | "BatchGetItem" | "Query":
            units["dynamodb reads"] += read_units(call)
        case "dynamodb", _:
            units["dynamodb writes"] += 1
        case "events", _:
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


def _index_keys(stack: Stack) -> list[set[str]]:
    table = client(stack.addresses.endpoint, "dynamodb").describe_table(TableName=stack.addresses.outputs["TableName"])[
        "Table"
    ]
    return [{key["AttributeName"] for key in index["KeySchema"]} for index in table["GlobalSecondaryIndexes"]]


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
