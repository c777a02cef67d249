"""Every answer of the embedded Batch is one that botocore's model of the service describes: nothing missing, nothing unknown.

The real client drops members that it doesn't know, so the raw bodies are looked at, for every operation that is offered.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.local.batch.launch import Image
from infra.local.batch.server import BatchServer


class Listening:
    """The real client, with every raw answer noted by operation."""

    def __init__(self, endpoint: str) -> None:
        self.client: Any = boto3.Session(
            aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1"
        ).client("batch", endpoint_url=endpoint)
        self.raw: dict[str, list[Any]] = {}
        self.client.meta.events.register("before-parse.batch.*", self._note)

    def _note(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        self.raw.setdefault(operation_model.name, []).append(json.loads(response_dict["body"]))


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[Listening, BatchServer]]:
    images = {"python": Image([sys.executable, "-I", "-S", "-c"])}
    with BatchServer(images=images, work_dir=tmp_path) as server:
        yield Listening(server.endpoint), server


def use_everything(batch: Any, server: BatchServer) -> None:
    resources = {"type": "SPOT", "maxvCpus": 1, "instanceTypes": ["g5"], "subnets": ["s"], "bidPercentage": 60}
    batch.create_compute_environment(
        computeEnvironmentName="c", type="MANAGED", computeResources=resources, tags={"a": "b"}
    )
    order = [{"order": 1, "computeEnvironment": "c"}]
    limits = [{"reason": "r", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}]
    batch.create_job_queue(jobQueueName="q", priority=1, computeEnvironmentOrder=order, jobStateTimeLimitActions=limits)
    batch.update_job_queue(jobQueue="q", state="ENABLED")
    properties = {
        "image": "python",
        "command": ["pass"],
        "jobRoleArn": "arn:aws:iam::1:role/r",
        "linuxParameters": {"sharedMemorySize": 64},
        "logConfiguration": {"logDriver": "awslogs", "options": {"a": "b"}},
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1"}],
        "environment": [{"name": "A", "value": "B"}],
    }
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    definition = batch.register_job_definition(
        jobDefinitionName="d",
        type="container",
        containerProperties=properties,
        retryStrategy={"attempts": 3, "evaluateOnExit": rules},
        timeout={"attemptDurationSeconds": 3600},
        propagateTags=True,
    )["jobDefinitionArn"]

    def submit(program: str) -> str:
        overrides = {"command": [program], "environment": [{"name": "C", "value": "D"}]}
        return str(
            batch.submit_job(jobName="j", jobQueue="q", jobDefinition=definition, containerOverrides=overrides)["jobId"]
        )

    submit("pass")
    submit("raise SystemExit(1)")
    assert server.wait_idle(30)
    running, *waiting = [submit("import time; time.sleep(600)") for _ in range(4)]
    seen: set[str] = set()
    for _ in range(200):
        jobs = batch.describe_jobs(jobs=[running, *waiting])["jobs"]
        seen = {job["status"] for job in jobs}
        if seen == {"RUNNING", "RUNNABLE"}:
            break
    assert seen == {"RUNNING", "RUNNABLE"}
    batch.get_job_queue_snapshot(jobQueue="q")
    for status in ("RUNNING", "RUNNABLE", "SUCCEEDED", "FAILED"):
        assert batch.list_jobs(jobQueue="q", jobStatus=status)["jobSummaryList"]
    batch.list_jobs(jobQueue="q", filters=[{"name": "JOB_NAME", "values": ["j"]}], maxResults=2)
    batch.cancel_job(jobId=waiting[0], reason="r")
    batch.terminate_job(jobId=running, reason="r")
    for job_id in waiting[1:]:
        batch.terminate_job(jobId=job_id, reason="r")
    assert server.wait_idle(60)
    ended = batch.describe_jobs(jobs=[running, *waiting])["jobs"]
    assert {job["status"] for job in ended} == {"FAILED"}
    batch.tag_resource(resourceArn=definition, tags={"k": "v"})
    batch.list_tags_for_resource(resourceArn=definition)
    batch.describe_job_definitions()
    batch.describe_job_queues()
    batch.describe_compute_environments()
    clear_up(batch)


def clear_up(batch: Any) -> None:
    """A fair share comes and goes, and then everything goes."""
    made = batch.create_scheduling_policy(name="fair", fairsharePolicy={"shareDecaySeconds": 60})["arn"]
    batch.update_scheduling_policy(arn=made, fairsharePolicy={"shareDecaySeconds": 30})
    assert batch.describe_scheduling_policies(arns=[made])["schedulingPolicies"][0]["name"] == "fair"
    assert batch.list_scheduling_policies()["schedulingPolicies"]
    batch.delete_scheduling_policy(arn=made)
    batch.update_job_queue(jobQueue="q", state="DISABLED")
    batch.delete_job_queue(jobQueue="q")
    batch.update_compute_environment(computeEnvironment="c", state="DISABLED")
    batch.delete_compute_environment(computeEnvironment="c")


def complaints(value: Any, shape: Any, where: str) -> Iterator[str]:
    """What in a raw answer the model doesn't describe; written apart from the server's own check."""
    kinds = {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "integer": int, "long": int}
    if not isinstance(value, kinds.get(shape.type_name, object)):
        yield f"{where} is {value!r}, not a {shape.type_name}"
    elif shape.type_name == "structure":
        yield from (f"{where}.{name} is unknown" for name in value if name not in shape.members)
        yield from (f"{where}.{name} is missing" for name in shape.required_members if name not in value)
        for name in value.keys() & shape.members.keys():
            yield from complaints(value[name], shape.members[name], f"{where}.{name}")
    elif shape.type_name == "map":
        for name, each in value.items():
            yield from complaints(each, shape.value, f"{where}[{name}]")
    elif shape.type_name == "list":
        for each in value:
            yield from complaints(each, shape.member, f"{where}[]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{where} is {value!r}, which is none of {shape.enum}"


def test_every_answer_is_one_that_the_model_describes(listening: tuple[Listening, BatchServer]) -> None:
    heard, server = listening
    use_everything(heard.client, server)
    assert set(heard.raw) == set(server._operations())
    model = heard.client.meta.service_model
    found = [
        complaint
        for name, answers in heard.raw.items()
        for answer in answers
        for complaint in complaints(answer, model.operation_model(name).output_shape, name)
    ]
    assert found == []
