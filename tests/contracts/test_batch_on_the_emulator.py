"""The Batch server beside the AWS emulator: its events reach a queue through a rule, its job output reaches the logs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

SOURCE = "local.batch"
WAIT_S = 30.0


def client(name: str, endpoint: str) -> Any:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    return session.client(name, endpoint_url=endpoint)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "LOG_LEVEL": "ERROR"}
    command = [str(Path(sys.executable).with_name("ministack"))]
    process = subprocess.Popen(
        command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def batch(emulator: str, tmp_path: Path) -> Iterator[Any]:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"images": {"python": {"command_prefix": [sys.executable, "-I", "-S", "-c"]}}}))
    options = ["--config", config, "--work-dir", tmp_path / "work", "--event-source", SOURCE]
    options += ["--aws-endpoint", emulator, "--ship-logs", "--until-stdin-closes"]
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.batch", *map(str, options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with process:
        assert process.stdout is not None
        yield client("batch", json.loads(process.stdout.readline())["address"])
        process.terminate()
        assert process.wait(20) == 0


def test_events_and_logs_arrive(emulator: str, batch: Any) -> None:
    sqs, events, logs = (client(name, emulator) for name in ("sqs", "events", "logs"))
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": [SOURCE], "detail-type": ["Batch Job State Change"]}
    events.put_rule(Name="jobs", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="jobs", Targets=[{"Id": "1", "Arn": arn}])

    batch.create_compute_environment(
        computeEnvironmentName="c", type="MANAGED", computeResources={"type": "EC2", "maxvCpus": 1}
    )
    batch.create_job_queue(
        jobQueueName="q", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "c"}]
    )
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1"}]
    properties = {"image": "python", "command": ["print('hello 你好')"], "resourceRequirements": needs}
    batch.register_job_definition(jobDefinitionName="d", type="container", containerProperties=properties)
    job_id = batch.submit_job(jobName="j", jobQueue="q", jobDefinition="d")["jobId"]

    got: list[dict[str, Any]] = []

    def all_there() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            got.append(json.loads(message["Body"]))
        return len(got) >= 4

    until(all_there)
    assert sorted(each["detail"]["status"] for each in got) == ["RUNNABLE", "RUNNING", "STARTING", "SUCCEEDED"]
    [last] = [each for each in got if each["detail"]["status"] == "SUCCEEDED"]
    [job] = batch.describe_jobs(jobs=[job_id])["jobs"]
    assert last["detail"] == job
    assert last["resources"] == [job["jobArn"]]
    assert last["source"] == SOURCE

    where = {"logGroupName": "/aws/batch/job", "logStreamName": job["container"]["logStreamName"]}

    def shipped() -> list[str]:
        try:
            return [each["message"] for each in logs.get_log_events(**where)["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    until(shipped)
    assert shipped() == ["hello 你好"]
