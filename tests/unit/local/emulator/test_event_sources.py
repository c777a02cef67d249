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

from infra.local.emulator.streams import read_streams_as_aws_does
from infra.local.emulator.throttling import start_as_many_at_once_as_there_are_cores, wait_while_throttled

THROTTLED = {"throttle": True, "error": True, "body": {"__type": "TooManyRequestsException"}}
DONE: dict[str, Any] = {"body": {"batchItemFailures": []}}
URL = "http://localhost/0/queue"
FUNCTION = {"FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:function", "Runtime": "python3.12"}


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


class Streams:
    """An emulator's way with streams, in so far as we lean on it: it hands on what is there, and calls it done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, mappings: list[dict[str, Any]], records: int) -> None:
        self.records = [{"dynamodb": {"SequenceNumber": str(100 + number)}} for number in range(records)]
        self.positions = {mapping["UUID"]: 1 for mapping in mappings}  # the first was read before
        self.seen: list[tuple[str, list[str]]] = []
        self.answers: list[str | None] = []
        self.now = 100.0
        replaced: list[tuple[Any, str, Any]] = [
            (lambda_svc, "_iter_all_esms", lambda: iter([("0", "us-east-1", mapping) for mapping in mappings])),
            (lambda_svc, "_dynamodb_stream_positions", self.positions),
            (lambda_svc, "_esm_backoff_until", {}),
            (lambda_svc, "_execute_function", self.execute),
            (lambda_svc, "_poll_dynamodb_streams", self.poll),
            (lambda_svc, "spawn_background", lambda function, *given, **_named: function(*given)),
            (dynamodb, "stream_records_since", lambda _table, at, limit: self.records[at : at + limit]),
            (dynamodb, "stream_end_position", lambda _table: len(self.records)),
        ]
        for module, name, replacement in replaced:
            monkeypatch.setattr(module, name, replacement)
        read_streams_as_aws_does(lambda: self.now)

    def execute(self, _function: dict[str, Any], _event: dict[str, Any]) -> dict[str, Any]:
        named = self.answers.pop(0) if self.answers else None
        return {"body": {"batchItemFailures": [] if named is None else [{"itemIdentifier": named}]}}

    def poll(self) -> bool:
        for _, _, each in lambda_svc._iter_all_esms():
            batch = dynamodb.stream_records_since("rows", self.positions[each["UUID"]], 4)
            self.seen.append((each["UUID"], [record["dynamodb"]["SequenceNumber"] for record in batch]))
            lambda_svc._execute_function({}, {"Records": batch})
            self.positions[each["UUID"]] += len(batch)
        return True

    def turn(self) -> None:
        lambda_svc._esm_backoff_until.clear()
        assert lambda_svc._poll_dynamodb_streams() is False


def reader(name: str, **more: Any) -> dict[str, Any]:
    source = "arn:aws:dynamodb:us-east-1:0:table/rows/stream/1"
    return {"UUID": name, "EventSourceArn": source, "FunctionResponseTypes": ["ReportBatchItemFailures"], **more}


def test_a_stream_goes_on_where_its_function_got_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch, [reader("one")], 6)
    streams.answers = ["103", "", None]
    for _ in range(5):
        streams.turn()
    assert [numbers for _, numbers in streams.seen] == [
        ["101", "102", "103", "104"],
        ["103", "104", "105"],
        ["103", "104", "105"],
    ]
    assert streams.positions == {"one": 6}


def test_a_reader_that_is_stuck_rests_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch, [reader("one")], 6)
    streams.answers = ["101", None]
    streams.turn()
    assert lambda_svc._esm_backoff_until["one"] > time.time()
    lambda_svc._poll_dynamodb_streams()
    assert len(streams.seen) == 1


def test_each_reader_rests_for_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, together = reader("at-once"), reader("together", MaximumBatchingWindowInSeconds=10)
    streams = Streams(monkeypatch, [at_once, together], 2)
    polled = []
    for seconds in (0, 5, 10, 15, 20, 21):
        streams.now = 100.0 + seconds
        streams.records.append({"dynamodb": {"SequenceNumber": str(200 + seconds)}})
        before = len(streams.seen)
        streams.turn()
        polled.append([name for name, _ in streams.seen[before:]])
    alone, both = ["at-once"], ["at-once", "together"]
    assert polled == [alone, alone, both, alone, both, alone]


def test_a_stream_that_has_nothing_new_costs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch, [reader("one")], 1)
    streams.turn()
    assert streams.seen == []


def test_processes_of_functions_start_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, most = Counter[str](), [0]

    def spawn(_worker: Any) -> None:
        starting["now"] += 1
        most[0] = max(most[0], starting["now"])
        starting["ever"] += 1
        time.sleep(0.05)
        starting["now"] -= 1

    def call(_number: int) -> None:
        worker, how = lambda_svc.acquire_worker("function", FUNCTION, b"")
        if how == "spawn":
            worker._spawn()
        time.sleep(0.001)
        lambda_runtime.release_worker(worker)

    monkeypatch.setattr(lambda_runtime, "_workers", {})
    monkeypatch.setattr(lambda_runtime, "acquire_worker", lambda_runtime.acquire_worker)
    monkeypatch.setattr(lambda_svc, "acquire_worker", lambda_runtime.acquire_worker)
    monkeypatch.setattr(lambda_runtime.Worker, "_spawn", spawn)
    start_as_many_at_once_as_there_are_cores()
    with ThreadPoolExecutor(20) as callers:
        list(callers.map(call, range(200)))
    assert most[0] <= max(2, os.cpu_count() or 2)
    # Whoever waited took a process that had become free: for twenty callers at once there need not be twenty.
    assert starting["ever"] < 20
    # No turn was lost: as many can start again.
    for worker in range(4):
        lambda_runtime.Worker._spawn(worker)
