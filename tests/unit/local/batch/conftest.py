"""A Batch server with one queue, and the real boto3 client that talks to it."""

import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from infra.local.batch.launch import Image
from infra.local.batch.server import BatchServer

# A job's first word is a program in Python; what follows are its arguments.
IMAGES = {"python": Image([sys.executable, "-I", "-S", "-c"], {"FROM_IMAGE": "yes"})}
WAIT_S = 30.0


@functools.cache
def _session() -> Any:
    return boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1")


def client_of(endpoint: str) -> Any:
    return _session().client("batch", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}))


class Bench:
    """A running server, its client, the events it sent, and the words that tests use."""

    def __init__(self, server: BatchServer, events: list[dict[str, Any]]) -> None:
        self.server = server
        self.events = events
        self.client = client_of(server.start())

    def queue(self, name: str = "cpu", *, vcpus: int = 4, **more: Any) -> str:
        self.client.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={"type": "EC2", "maxvCpus": vcpus, "subnets": ["subnet-1"], "instanceTypes": ["optimal"]},
        )
        order = [{"order": 1, "computeEnvironment": name}]
        self.client.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order, **more)
        return name

    def definition(self, name: str = "run", *, command: list[str] | None = None, **more: Any) -> str:
        properties = {
            "image": "registry.example/ml/python:3.11",
            "command": command or ["pass"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
        }
        properties.update(more.pop("properties", {}))
        made = self.client.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=properties, **more
        )
        return str(made["jobDefinitionArn"])

    def submit(self, program: str = "pass", *words: str, name: str = "job", overrides: Any = None, **more: Any) -> str:
        overrides = {"command": [program, *words], **(overrides or {})}
        more = {"jobQueue": "cpu", "jobDefinition": "run", **more}
        return str(self.client.submit_job(jobName=name, containerOverrides=overrides, **more)["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        [job] = self.client.describe_jobs(jobs=[job_id])["jobs"]
        return dict(job)

    def until(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """Wait, for a bounded time, until the job is in one of the statuses (by default: at its end)."""
        statuses = statuses or ("SUCCEEDED", "FAILED")
        wait_for(lambda: self.job(job_id)["status"] in statuses)
        return self.job(job_id)

    def until_logged(self, job_id: str, text: str, attempt: int = 1) -> None:
        path = self.server.log_path(job_id, attempt)
        wait_for(lambda: path.exists() and text in path.read_text())

    def log(self, job_id: str, attempt: int = 1) -> str:
        return self.server.log_path(job_id, attempt).read_text()

    def states(self, job_id: str) -> list[str]:
        """The states of a job, as events told them, once all events are out."""
        assert self.server.wait_idle(WAIT_S)
        return [event["detail"]["status"] for event in self.events if event["detail"]["jobId"] == job_id]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def make_bench(tmp_path: Any) -> Iterator[Callable[..., Bench]]:
    started: list[BatchServer] = []

    def make(*, prepared: bool = True, **options: Any) -> Bench:
        events: list[dict[str, Any]] = []
        lock = threading.Lock()

        def note(event: dict[str, Any]) -> None:
            with lock:
                events.append(event)

        options = {"images": IMAGES, "on_event": note, "work_dir": tmp_path / "work", **options}
        server = BatchServer(**options)
        started.append(server)
        bench = Bench(server, events)
        if prepared:
            bench.queue()
            bench.definition()
        return bench

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
