"""Batch's events of job states and blocked queues, and the one thread that delivers them in order."""

import copy
import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from infra.local.batch.records import Job, Place, Wire

log = logging.getLogger(__name__)

OnEvent = Callable[[Wire], None]
DETAIL_TYPE = "Batch Job State Change"
BLOCKED = "Batch Job Queue Blocked"


def state_change(job: Job, place: Place, source: str) -> Wire:
    """The event that tells of the job's present state, as EventBridge would hand it to a target."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": DETAIL_TYPE,
        "source": source,
        "account": place.account,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": place.region,
        "resources": [job.detail["jobArn"]],
        "detail": copy.deepcopy(job.detail),
    }


def queue_blocked(job: Job, place: Place, source: str) -> Wire:
    """The event that tells that nothing starts from a queue, because of the job at its front."""
    event = state_change(job, place, source)
    return {**event, "detail-type": BLOCKED, "resources": [job.detail["jobArn"], job.detail["jobQueue"]]}


def to_event_bridge(client: Any, bus: str) -> OnEvent:
    """An `on_event` that puts events on a bus through boto3's `events` client; raises when the bus doesn't take one."""

    def put(event: Wire) -> None:
        import json

        answer = client.put_events(
            Entries=[
                {
                    "Time": event["time"],
                    "Source": event["source"],
                    "Resources": event["resources"],
                    "DetailType": event["detail-type"],
                    "Detail": json.dumps(event["detail"]),
                    "EventBusName": bus,
                }
            ]
        )
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"event refused: {answer['Entries'][0]}")

    return put


class Deliverer:
    """Takes events from the front of a list, hands each to `on_event`, and drops it when that returned.

    So an event is delivered at least once, like Batch's own: one that was under way when the server was killed
    comes again after the restart. One that fails `tries` times is dropped, with an error in the log.
    """

    def __init__(
        self,
        outbox: list[Wire],
        changed: threading.Condition,
        on_event: OnEvent,
        delivered: Callable[[], None],
        tries: int = 6,
        first_pause: float = 0.1,
    ) -> None:
        """outbox is guarded by `changed`, which is notified when an event was added.

        delivered: called under it after an event left the outbox. first_pause: seconds between two tries, doubled.
        """
        self._outbox = outbox
        self._changed = changed
        self._on_event = on_event
        self._delivered = delivered
        self._tries = tries
        self._first_pause = first_pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batch-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Let it deliver what is there for at most `patience` seconds; the rest stays in the outbox."""
        deadline = time.monotonic() + patience
        with self._changed:
            self._changed.wait_for(lambda: not self._outbox, timeout=patience)
            self._stopping.set()
            self._changed.notify_all()
        self._thread.join(max(1.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._outbox or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                event = self._outbox[0]
            if not self._deliver(event):
                return
            with self._changed:
                self._outbox.pop(0)
                self._delivered()
                self._changed.notify_all()

    def _deliver(self, event: Wire) -> bool:
        """False when it was stopped before the event went out."""
        for attempt in range(self._tries):
            try:
                self._on_event(event)
            except Exception:  # whatever the receiver raises, the server and the other events go on
                log.warning(
                    "event %s not delivered (try %d of %d)", event["id"], attempt + 1, self._tries, exc_info=True
                )
            else:
                return True
            if self._stopping.wait(self._first_pause * 2**attempt):
                return False
        log.error("event %s of %s dropped after %d tries", event["id"], event["resources"][0], self._tries)
        return True
