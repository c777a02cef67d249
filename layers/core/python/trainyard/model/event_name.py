"""What happens, by name."""

from __future__ import annotations

from enum import StrEnum


class EventName(StrEnum):
    """The bus's `detail-type`."""

    PUSH_RECEIVED = "push.received"
    CHECK_REQUESTED = "check.requested"
    STORAGE_ASKED = "storage.asked"
    RUN_REQUESTED = "run.requested"
    RUN_REJECTED = "run.rejected"
    RUN_ADMITTED = "run.admitted"
    RUN_QUEUED = "run.queued"
    RUN_STARTING = "run.starting"
    RUN_RUNNING = "run.running"
    RUN_FINISHED = "run.finished"
    RUN_STOP_REQUESTED = "run.stop_requested"
    RUN_INDEXED = "run.indexed"
    RUN_EVALUATED = "run.evaluated"
