"""The emulator reads tables' streams for functions on the one thread that hands out the queues' messages as well.

While a function works on a stream, no queue gets anything. It also hands records on one by one, although a reader may
ask for all of some seconds together, and takes a batch for done as soon as its function has not crashed: what that says
it got stuck at would be lost. Here each reader has its thread, its window, and goes on where its function got stuck.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

Mapping = tuple[str, str, dict[str, Any]]
"""Account, region and the event source mapping."""


def read_streams_as_aws_does(clock: Callable[[], float] = time.monotonic) -> StreamReaders:
    """Once per process, before serving."""
    from ministack.services import dynamodb, lambda_svc

    readers = StreamReaders(lambda_svc, dynamodb, clock)
    lambda_svc._iter_all_esms = readers.mappings  # noqa: SLF001  no public names; the package is pinned
    lambda_svc._execute_function = readers.execute  # noqa: SLF001
    lambda_svc._poll_dynamodb_streams = readers.begin  # noqa: SLF001
    return readers


class StreamReaders:
    """One at a time for each event source mapping of a stream. `emulator`, `dynamodb`: the emulator's own modules."""

    def __init__(self, emulator: Any, dynamodb: Any, clock: Callable[[], float]) -> None:
        self._emulator, self._dynamodb, self._clock = emulator, dynamodb, clock
        self._all = emulator._iter_all_esms  # noqa: SLF001
        self._poll = emulator._poll_dynamodb_streams  # noqa: SLF001
        self._positions = emulator._dynamodb_stream_positions  # noqa: SLF001
        self._backoff = emulator._esm_backoff_until  # noqa: SLF001
        self.execute = self._listening(emulator._execute_function)  # noqa: SLF001
        self._here = threading.local()
        """The one mapping that this thread reads for, and what its function said last."""
        self._busy: set[str] = set()
        self._looked_at: dict[str, float] = {}

    def mappings(self) -> Iterator[Mapping]:
        """All of them; in a reader's thread its own."""
        only = getattr(self._here, "only", None)
        return iter([only]) if only else self._all()

    def begin(self) -> bool:
        """Start a reader for each stream that has something for a function. False: that is no news of the queues."""
        for mapping in self._all():
            if ":dynamodb:" in mapping[2].get("EventSourceArn", "") and self._is_due(mapping[2]):
                self._busy.add(mapping[2]["UUID"])
                self._emulator.spawn_background(self._read, mapping, thread_name="ministack-stream")
        return False

    def _is_due(self, mapping: dict[str, Any]) -> bool:
        name, now = mapping["UUID"], self._clock()
        if name in self._busy or self._backoff.get(name, 0) > time.time() or not self._has_more(mapping):
            return False
        # The first look waits, too: the window opens with the first record, and nothing is older than the mapping.
        if now - self._looked_at.setdefault(name, now) < (mapping.get("MaximumBatchingWindowInSeconds") or 0):
            return False
        self._looked_at[name] = now
        return True

    def _has_more(self, mapping: dict[str, Any]) -> bool:
        read = self._positions.get(mapping["UUID"])
        return read is None or bool(read != self._dynamodb.stream_end_position(_table_of(mapping)))

    def _read(self, mapping: Mapping) -> None:
        with self._alone(mapping):
            before, self._here.said = self._positions.get(mapping[2]["UUID"], 0), {}
            self._poll()
            if (stuck := _stuck_at(mapping[2], self._here.said)) is not None:
                self._begin_again(mapping[2], before, stuck)

    @contextmanager
    def _alone(self, mapping: Mapping) -> Iterator[None]:
        self._here.only = mapping
        try:
            yield
        finally:
            self._here.only = None
            self._busy.discard(mapping[2]["UUID"])
            self._emulator._esm_wake.set()  # noqa: SLF001  there may be more

    def _begin_again(self, mapping: dict[str, Any], before: int, stuck: str) -> None:
        name = mapping["UUID"]
        read = self._dynamodb.stream_records_since(_table_of(mapping), before, self._positions[name] - before)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in read]
        self._positions[name] = before + (numbers.index(stuck) if stuck in numbers else 0)
        self._backoff[name] = time.time() + self._emulator._ESM_BACKOFF_SECONDS  # noqa: SLF001

    def _listening(self, execute: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        @wraps(execute)
        def execute_and_listen(function: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
            self._here.said = execute(function, event)
            said: dict[str, Any] = self._here.said
            return said

        return execute_and_listen


def _table_of(mapping: dict[str, Any]) -> str:
    return str(mapping["EventSourceArn"].split("/stream/")[0].rpartition("/")[2])


def _stuck_at(mapping: dict[str, Any], said: dict[str, Any]) -> str | None:
    """The first record's number that the function names; "" where that has none, None where all is done."""
    body = said.get("body")
    if said.get("error") or "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        return None
    failures = body.get("batchItemFailures", []) if isinstance(body, dict) else []
    return str(failures[0].get("itemIdentifier") or "") if failures else None
