"""What may go wrong on the way, on purpose."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    THROTTLED = "throttled"
    """429 from the gateway; nothing was done."""
    BROKEN = "broken"
    """500; nothing was done."""
    BROKEN_AFTER = "broken_after"
    """500, although it was done."""
    UNANSWERED = "unanswered"
    """The connection breaks off before anything was done."""
    UNANSWERED_AFTER = "unanswered_after"
    """It was done, and nobody hears of it."""


@dataclass
class Fault:
    operation: str
    kind: Kind
    times: int


class Faults:
    """Those that are still to come, for each operation in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def inject(self, operation: str, kind: Kind, times: int = 1) -> None:
        with self._lock:
            self._waiting.append(Fault(operation, kind, times))

    def next(self, operation: str) -> Kind | None:
        with self._lock:
            for fault in self._waiting:
                if fault.operation == operation and fault.times > 0:
                    fault.times -= 1
                    return fault.kind
        return None
