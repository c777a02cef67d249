"""The main machine of several ends last: where it ends, the backend ends all the others."""

from __future__ import annotations

import time

from trainyard.model.result import AttemptResult, Ending
from trainyard.runner.job import Job
from trainyard.runner.stop import Stop
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError, Objects

# For what they still have to store; the backend's own limit lies ten minutes behind the script's.
WAIT_SECONDS = 240.0
_LOOK_SECONDS = 1.0


def await_others(objects: Objects, job: Job, stop: Stop) -> dict[int, AttemptResult]:
    """What the other machines came to, by their index.

    Returns when all have ended or one has failed; without those that say nothing within that time, or until a stop.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    results: dict[int, AttemptResult] = {}
    while True:
        for node in range(1, job.nodes):
            result = results.get(node) or _result(objects, job, node)
            if result is not None:
                results[node] = result
        failed = any(result.ending is not Ending.SUCCEEDED for result in results.values())
        if failed or len(results) == job.nodes - 1 or stop.requested or time.monotonic() > deadline:
            return results
        time.sleep(_LOOK_SECONDS)


def _result(objects: Objects, job: Job, node: int) -> AttemptResult | None:
    try:
        key = layout.result_key(layout.node_id(job.run_id, node), job.attempt)
        return AttemptResult.model_validate_json(objects.get(key))
    except ObjectMissingError:
        return None
