"""The embedded stack's Batch server with a queue and a definition whose jobs do what `PROGRAM` says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from infra.local.batch.launch import JobSpec, Launch
from infra.local.batch.server import BatchServer
from trainyard.compute.aws_batch import AwsBatch
from trainyard.model.settings import Settings

# Of a waiting job; the shortest that Batch knows.
LIMIT_SECONDS = 600
PROGRAMS = {
    "ok": "print('ok')",
    "fail": "raise SystemExit(3)",
    "sleep": "import time; time.sleep(60)",
    # As the main machine's runner ends where another machine was lost.
    "lost": "import os, sys, time; os.environ.get('AWS_BATCH_JOB_NODE_INDEX', '0') == '0' and sys.exit(75); time.sleep(60)",
}


def launch(spec: JobSpec) -> Launch:
    return Launch([sys.executable, "-c", PROGRAMS[spec.environment.get("PROGRAM", "ok")]], {})


@contextmanager
def batch(**arguments: Any) -> Iterator[tuple[BatchServer, AwsBatch, Any]]:
    """A server, the production backend on it, and a plain client to look with."""
    with BatchServer(launcher=launch, grace=2.0, **arguments) as server:
        client = boto3.client("batch", endpoint_url=server.endpoint, region_name="us-east-1")
        environment = client.create_compute_environment(
            computeEnvironmentName="cpu",
            type="MANAGED",
            computeResources={
                "type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["subnet-1"],
                "securityGroupIds": ["sg-1"], "instanceRole": "arn:aws:iam::000000000000:instance-profile/ecs",
            },
        )["computeEnvironmentArn"]  # fmt: skip
        policy = client.create_scheduling_policy(name="fair", fairsharePolicy={"shareDecaySeconds": 3600})["arn"]
        queues = {
            name: client.create_job_queue(
                jobQueueName=name,
                priority=1,
                schedulingPolicyArn=policy,
                computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
                jobStateTimeLimitActions=[
                    {"reason": reason, "state": "RUNNABLE", "action": "CANCEL", "maxTimeSeconds": LIMIT_SECONDS}
                    for reason in (
                        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
                        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
                    )
                ],
            )["jobQueueArn"]
            for name in ("cpu", "cpu-spot", "cpu-spotfirst", "cpu-nodes")
        }
        container = {
            "image": "runner",
            "command": ["run"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
        }
        nodes = {
            "numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", "container": container}],
        }  # fmt: skip
        kinds: dict[str, dict[str, Any]] = {
            "cpu": {"type": "container", "containerProperties": container},
            "cpu-nodes": {"type": "multinode", "nodeProperties": nodes},
        }
        definitions = {
            name: client.register_job_definition(jobDefinitionName=name, retryStrategy={"attempts": 3}, **kind)[
                "jobDefinitionArn"
            ]
            for name, kind in kinds.items()
        }
        known = Settings(job_queues=queues, job_definitions=definitions)
        yield server, AwsBatch(client, known), client
