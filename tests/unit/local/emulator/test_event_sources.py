"""What the emulator's pollers do otherwise than AWS's is put right: throttled batches, and streams that are stuck."""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ministack.core import lambda_runtime
from ministack.services import dynamodb, lambda_svc, sqs

from infra.local.emulator.partial_batches import go_back_to_what_is_stuck
from infra.local.emulator.throttling import start_as_many_at_once_as_there_are_cores, wait_while_throttled

THROTTLED = {"throttle": True, "error": True, "body": {"__type": "TooManyRequestsException"}}
DONE: dict[str, Any] = {"body": {"batchItemFailures": []}}
URL = "http://localhost/0/queue"


@pytest.mark.parametrize(("busy_seconds", "ends"), [(0.0, DONE), (50.0, DONE), (200.0, THROTTLED)])
def test_a_throttled_batch_is_tried_until_its_messages_are_visible_again(
    monkeypatch: pytest.MonkeyPatch, busy_seconds: float, ends: dict[str, Any]
) -> None:
    now, came_to = [0.0], []

    def execute(_function: dict[str, Any], _event: dict[str, Any]) -> dict[str, Any]:
        return THROTTLED if now[0] < busy_seconds else DONE

    def run_batch(_mapping: Any, function: Any, event: Any, *_queue: Any) -> None:
        came_to.append(lambda_svc._execute_function(function, event))

    monkeypatch.setattr(lambda_svc, "_execute_function", execute)
    monkeypatch.setattr(lambda_svc, "_run_sqs_batch", run_batch)
    monkeypatch.setattr(sqs, "_queues", {URL: {"attributes": {"VisibilityTimeout": "100"}}})
    wait_while_throttled(lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds))
    lambda_svc._run_sqs_batch({}, {}, {}, [], URL, "queue")
    assert came_to == [ends]
    assert now[0] == pytest.approx(min(busy_seconds, 100.0), abs=0.3)


def test_who_calls_by_the_api_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_svc, "_execute_function", lambda _function, _event: THROTTLED)
    monkeypatch.setattr(lambda_svc, "_run_sqs_batch", lambda *_: None)
    wait_while_throttled(pause=lambda _seconds: pytest.fail("it waited"))
    assert lambda_svc._execute_function({}, {}) == THROTTLED


def test_a_stream_goes_on_where_its_function_got_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = {
        "UUID": "reader",
        "EventSourceArn": "arn:aws:dynamodb:us-east-1:0:table/rows/stream/1",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    records = [{"dynamodb": {"SequenceNumber": str(100 + number)}} for number in range(6)]
    positions = {"reader": 1}  # the first was read before
    seen: list[list[str]] = []
    stuck = ["103", "", None]

    def execute(_function: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        seen.append([record["dynamodb"]["SequenceNumber"] for record in event["Records"]])
        named = stuck.pop(0)
        return {"body": {"batchItemFailures": [] if named is None else [{"itemIdentifier": named}]}}

    def poll() -> bool:  # as the emulator does: all of a batch is done if nothing crashed
        for _, _, each in lambda_svc._iter_all_esms():
            batch = dynamodb.stream_records_since("rows", positions[each["UUID"]], 4)
            lambda_svc._execute_function({}, {"Records": batch})
            positions[each["UUID"]] += len(batch)
        return True

    monkeypatch.setattr(lambda_svc, "_iter_all_esms", lambda: iter([("0", "us-east-1", mapping)]))
    monkeypatch.setattr(lambda_svc, "_dynamodb_stream_positions", positions)
    monkeypatch.setattr(lambda_svc, "_esm_backoff_until", {})
    monkeypatch.setattr(lambda_svc, "_execute_function", execute)
    monkeypatch.setattr(lambda_svc, "_poll_dynamodb_streams", poll)
    monkeypatch.setattr(dynamodb, "stream_records_since", lambda _table, at, limit: records[at : at + limit])
    go_back_to_what_is_stuck()
    for _ in range(3):
        assert lambda_svc._poll_dynamodb_streams() is True
    assert seen == [["101", "102", "103", "104"], ["103", "104", "105"], ["103", "104", "105"]]
    assert positions == {"reader": 6}


def test_processes_of_functions_start_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, most = Counter[str](), [0]

    def spawn(_worker: Any) -> None:
        starting["now"] += 1
        most[0] = max(most[0], starting["now"])
        starting["ever"] += 1
        time.sleep(0.01)
        starting["now"] -= 1

    monkeypatch.setattr(lambda_runtime.Worker, "_spawn", spawn)
    start_as_many_at_once_as_there_are_cores()
    with ThreadPoolExecutor(20) as callers:
        list(callers.map(lambda_runtime.Worker._spawn, range(20)))
    assert starting["ever"] == 20
    assert most[0] <= max(2, os.cpu_count() or 2)
