"""enqueue_job's queue and its five workers at once, over a Batch that takes so many submissions a second and no more."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import Any

from batch_fixture import batch
from builders import NOW, a_run, a_spec

from trainyard.compute.aws_batch import AwsBatch
from trainyard.model.run import RunState
from trainyard.store import State
from trainyard.submission.submit import ClaimedElsewhereError, submit_run

WORKERS = 5  # ScalingConfig of enqueue_job
BATCH_SIZE = 10
MOST_RECEIVES = 5  # maxReceiveCount of its queue


@dataclass
class Outcome:
    """What became of the runs."""

    jobs: Counter[str]
    """Run to its jobs in Batch."""
    states: Counter[RunState]
    dead: list[str]
    """Messages that were received too often."""
    seconds: float
    receives: Counter[int] = field(default_factory=Counter)
    """How many messages were received how often."""
    throttled: int = 0


@dataclass
class _Message:
    id: str
    run_id: str
    receives: int = 0


def submit_all(
    state: State,
    runs: int,
    allowed: Callable[[], bool],
    *,
    deliveries: int = 1,
    pause: float = 0.02,
    bound: float = 300.0,
) -> Outcome:
    """Admit `runs` runs, deliver each one's event so many times, and wait until every message is gone or dead.

    `allowed`: whether Batch takes one more submission. `pause`: seconds until a message that failed comes again. TimeoutError after `bound` seconds.
    """
    with batch(submission_allowed=allowed) as (server, _, client):
        server.starve("cpu")  # jobs are counted, not run
        once = _once(server.endpoint)
        throttled: list[str] = []
        once.meta.events.register(
            "after-call.batch.SubmitJob",
            lambda http_response, **_: throttled.append("") if http_response.status_code == 429 else None,
        )
        backend = AwsBatch(once, _queues(client))
        for number in range(runs):
            state.table.create_run(
                a_run(f"run-{number}", state=RunState.ADMITTED, spec=a_spec(), project=f"owner{number % 7}/a")
            )
        messages = [
            _Message(f"m-{number}-{again}", f"run-{number}") for again in range(deliveries) for number in range(runs)
        ]
        began = time.monotonic()
        done, dead = _drain(
            messages, lambda one: submit_run(state, one.run_id, one.id, lambda _: backend, NOW), pause, bound
        )
        seconds = time.monotonic() - began
        found = Counter(one["jobName"] for one in _jobs(client))
        states = Counter(row.state for row in _rows(state))
        return Outcome(found, states, dead, seconds, Counter(one.receives for one in done), len(throttled))


def _once(endpoint: str) -> Any:
    """A client that tries once, as the production one for submissions."""
    import boto3
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, max_pool_connections=WORKERS)
    return boto3.client("batch", endpoint_url=endpoint, region_name="us-east-1", config=config)


def _queues(client: Any) -> Any:
    from trainyard.model.settings import Settings

    queues = {each["jobQueueName"]: each["jobQueueArn"] for each in client.describe_job_queues()["jobQueues"]}
    (definition,) = client.describe_job_definitions(jobDefinitionName="cpu")["jobDefinitions"]
    return Settings(job_queues=queues, job_definitions={"cpu": definition["jobDefinitionArn"]})


def _drain(
    messages: list[_Message], handle: Callable[[_Message], object], pause: float, bound: float
) -> tuple[list[_Message], list[str]]:
    """Handle them as Lambda's pollers do: batches of ten, and what fails comes again."""
    waiting: Queue[tuple[float, _Message]] = Queue()
    for one in messages:
        waiting.put((0.0, one))
    done: list[_Message] = []
    dead: list[str] = []
    deadline = time.monotonic() + bound

    def work() -> None:
        while len(done) + len(dead) < len(messages) and time.monotonic() < deadline:
            for at, one in _receive(waiting):
                if time.monotonic() < at:
                    waiting.put((at, one))
                    continue
                one.receives += 1
                try:
                    handle(one)
                except Exception as error:
                    if one.receives >= MOST_RECEIVES and not isinstance(error, ClaimedElsewhereError):
                        dead.append(one.id)
                    else:
                        waiting.put((time.monotonic() + pause, one))
                else:
                    done.append(one)

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(done) + len(dead) < len(messages):
        raise TimeoutError(f"{len(messages) - len(done) - len(dead)} messages are left after {bound} s")
    return done, dead


def _receive(waiting: Queue[tuple[float, _Message]]) -> list[tuple[float, _Message]]:
    taken = []
    try:
        for _ in range(BATCH_SIZE):
            taken.append(waiting.get(timeout=0.01))
    except Empty:
        pass
    return taken


def _jobs(client: Any) -> Iterable[Any]:
    filters = [{"name": "JOB_NAME", "values": ["run-*"]}]
    for page in client.get_paginator("list_jobs").paginate(jobQueue="cpu", filters=filters):
        yield from page["jobSummaryList"]


def _rows(state: State) -> Iterable[Any]:
    cursor = None
    while True:
        page = state.table.active_runs(limit=200, cursor=cursor)
        yield from page.rows
        cursor = page.cursor
        if cursor is None:
            return


class OneAtATime:
    """A client for moto, whose conditional writes are not atomic between threads."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            with self._lock:
                return real(**arguments)

        return call
