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


def poll_as_wide_as_the_machine() -> None:
    """Let each queue's poller hand out as many batches at once as there are cores, two at least. Once, before serving.

    AWS begins with five. Here that is forty processes for what two cores have to do, and whoever uses the API waits.
    """
    from ministack.services import lambda_svc

    lambda_svc._ESM_SQS_DEFAULT_CONCURRENCY = max(2, min(os.cpu_count() or 2, 5))  # noqa: SLF001


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
