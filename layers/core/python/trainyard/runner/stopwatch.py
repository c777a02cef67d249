"""How long each stage took."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from trainyard.model.result import Stage


class Stopwatch:
    """Stages in the order in which they began; they may overlap."""

    def __init__(self) -> None:
        self._stages: list[Stage] = []
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block, also when it raises."""
        at, begun = datetime.now(UTC), time.monotonic()
        try:
            yield
        finally:
            stage = Stage(name=name, started_at=at, seconds=round(time.monotonic() - begun, 3))
            with self._lock:
                self._stages.append(stage)

    @property
    def stages(self) -> list[Stage]:
        with self._lock:
            return sorted(self._stages, key=lambda stage: stage.started_at)
