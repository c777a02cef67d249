"""No more functions run at once than the account allows. AWS's pollers then try again, with the messages in hand.

The emulator's leave them to the queue, which hands them out again only when its visibility timeout is over: half an
hour for a commit that could be checked in the next moment.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

PAUSE_SECONDS = 0.2
_TURN_SECONDS = 0.02


def poll_as_wide_as_the_machine() -> None:
    """Let each queue's poller hand out as many batches at once as there are cores, two at least. Once, before serving.

    AWS begins with five. Here that is forty processes for what two cores have to do, and whoever uses the API waits.
    """
    from ministack.services import lambda_svc

    lambda_svc._ESM_SQS_DEFAULT_CONCURRENCY = max(2, min(os.cpu_count() or 2, 5))  # noqa: SLF001


def start_as_many_at_once_as_there_are_cores(pause: Callable[[float], None] = time.sleep) -> None:
    """Let functions' processes start in turn, two at a time or as many as there are cores. Once, before serving.

    AWS has a machine for each. Here sixty that start at once all take so long that their callers' time is over, they
    are killed for it, and sixty others start. Who waits for a turn takes a process that has become free meanwhile.
    """
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    acquire, spawn = lambda_runtime.acquire_worker, lambda_runtime.Worker._spawn  # noqa: SLF001
    turns = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))
    with_turn: set[int] = set()

    def is_free(name: str, config: dict[str, Any], qualifier: str) -> bool:
        with lambda_runtime._lock:  # noqa: SLF001
            workers = lambda_runtime._workers.get(lambda_runtime._worker_key(name, config, qualifier), [])  # noqa: SLF001
            return any(not worker.in_use for worker in workers)

    @wraps(acquire)
    def acquire_in_turn(
        name: str, config: dict[str, Any], code: bytes, qualifier: str = "$LATEST", max_concurrency: int | None = None
    ) -> Any:
        while not is_free(name, config, qualifier):
            if turns.acquire(blocking=False):
                worker, how = acquire(name, config, code, qualifier, max_concurrency)
                if how == "spawn":
                    with_turn.add(id(worker))
                else:
                    turns.release()
                return worker, how
            pause(_TURN_SECONDS)
        return acquire(name, config, code, qualifier, max_concurrency)

    @wraps(spawn)
    def spawn_in_turn(worker: Any) -> None:
        # What a function may take is counted from when its process has started, as on AWS.
        if id(worker) not in with_turn:
            turns.acquire()
        with_turn.discard(id(worker))
        try:
            spawn(worker)
        finally:
            turns.release()

    lambda_runtime.acquire_worker = lambda_svc.acquire_worker = acquire_in_turn
    lambda_runtime.Worker._spawn = spawn_in_turn  # noqa: SLF001


def wait_while_throttled(
    clock: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep
) -> None:
    """Let a batch of a queue be tried again until its visibility timeout is over. Once per process, before serving."""
    from ministack.services import lambda_svc, sqs

    run_batch = lambda_svc._run_sqs_batch  # noqa: SLF001  no public name; the package is pinned
    execute = lambda_svc._execute_function  # noqa: SLF001
    here = threading.local()

    @wraps(execute)
    def execute_in_the_end(function: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        while True:
            result: dict[str, Any] = execute(function, event)
            if not result.get("throttle") or clock() >= getattr(here, "until", 0.0):
                return result
            pause(PAUSE_SECONDS)

    @wraps(run_batch)
    def run_batch_in_the_end(
        mapping: dict[str, Any],
        function: dict[str, Any],
        event: dict[str, Any],
        batch: list[dict[str, Any]],
        queue_url: str,
        queue_name: str,
    ) -> None:
        # A batch has a thread of its own; whoever calls a function by the API is told at once, as on AWS.
        here.until = clock() + int(sqs._queues[queue_url]["attributes"].get("VisibilityTimeout", "30"))  # noqa: SLF001
        run_batch(mapping, function, event, batch, queue_url, queue_name)

    lambda_svc._execute_function = execute_in_the_end  # noqa: SLF001
    lambda_svc._run_sqs_batch = run_batch_in_the_end  # noqa: SLF001
