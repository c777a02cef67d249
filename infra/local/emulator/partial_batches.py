"""A function that reads a stream says which record it got stuck at; AWS hands the rest out again from there.

The emulator hears this of queues only. To it a batch of a stream is done as soon as the function has not crashed, and
what was stuck would be lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import wraps
from typing import Any


def go_back_to_what_is_stuck() -> None:
    """Let each stream's reader begin again at the first record that its function names. Once, before serving."""
    from ministack.services import dynamodb, lambda_svc

    poll = lambda_svc._poll_dynamodb_streams  # noqa: SLF001  no public name; the package is pinned
    execute = lambda_svc._execute_function  # noqa: SLF001
    positions = lambda_svc._dynamodb_stream_positions  # noqa: SLF001
    here = threading.local()  # what the function said last that this thread called for a stream

    @wraps(execute)
    def execute_and_listen(function: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = execute(function, event)
        here.said = result
        return result

    def begin_again_at(mapping: dict[str, Any], before: int, stuck: str) -> None:
        table = mapping["EventSourceArn"].split("/stream/")[0].rpartition("/")[2]
        read = dynamodb.stream_records_since(table, before, positions[mapping["UUID"]] - before)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in read]
        positions[mapping["UUID"]] = before + (numbers.index(stuck) if stuck in numbers else 0)
        lambda_svc._esm_backoff_until[mapping["UUID"]] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS  # noqa: SLF001

    def each(mappings: Iterator[tuple[str, str, dict[str, Any]]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for account, region, mapping in mappings:
            before, here.said = positions.get(mapping["UUID"], 0), {}
            yield account, region, mapping
            if (stuck := _stuck_at(mapping, here.said)) is not None:
                begin_again_at(mapping, before, stuck)

    @wraps(poll)
    def poll_each() -> bool:
        mappings = lambda_svc._iter_all_esms  # noqa: SLF001
        lambda_svc._iter_all_esms = lambda: each(mappings())  # noqa: SLF001  one thread polls, and nobody else asks
        try:
            return bool(poll())
        finally:
            lambda_svc._iter_all_esms = mappings  # noqa: SLF001

    lambda_svc._execute_function = execute_and_listen  # noqa: SLF001
    lambda_svc._poll_dynamodb_streams = poll_each  # noqa: SLF001


def _stuck_at(mapping: dict[str, Any], said: dict[str, Any]) -> str | None:
    """The first record's number that the function names; "" where that has none, None where all is done."""
    body = said.get("body")
    if said.get("error") or "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        return None
    failures = body.get("batchItemFailures", []) if isinstance(body, dict) else []
    return str(failures[0].get("itemIdentifier") or "") if failures else None
