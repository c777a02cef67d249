"""What a script writes to its output outlives its host, and is where it was left when the run starts over."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from unit.runner.rig import BUCKET, LIBRARY, RUN_ID, Rig

from infra.local.batch.launch import JobSpec, Launch
from infra.local.batch.server import BatchServer
from trainyard.model.result import Ending
from trainyard.runner.outputs import Output
from trainyard.runner.stop import Stop
from trainyard.store import layout

PREFIX = layout.output_prefix(RUN_ID)
# Counts to ten, one checkpoint each; stands still after the third of the first attempt.
COUNTING = """
import os, pathlib, sys, time
output = pathlib.Path(sys.argv[2])
found = sorted(output.glob("step-*"))
first = int(found[-1].read_text()) + 1 if found else 1
print("attempt", os.environ["TRAINYARD_ATTEMPT"], "begins with", first, flush=True)
for step in range(first, 11):
    part = output / "part"
    part.write_text(str(step))
    part.rename(output / f"step-{step:02}")
    if step == 3 and os.environ["TRAINYARD_ATTEMPT"] == "1":
        print("standing still", flush=True)
        time.sleep(600)
"""


def kept(rig: Rig) -> list[str]:
    return [entry.key.removeprefix(PREFIX) for entry in rig.objects.find(PREFIX)]


def until(true: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture
def output(rig: Rig, tmp_path: Path) -> Output:
    return Output(rig.objects, tmp_path, PREFIX)


def settled() -> bool:
    return True


def test_only_what_changed_is_stored_again(rig: Rig, output: Output, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two!")
    assert output.sync(settled) == 7
    assert output.sync(settled) == 0
    (tmp_path / "b").write_bytes(b"three")
    assert output.sync(settled) == 5
    assert (rig.output("a"), rig.output("b")) == (b"one", b"three")


def test_a_file_that_is_being_written_is_not_stored(rig: Rig, output: Output, tmp_path: Path) -> None:
    file = tmp_path / "growing"
    file.write_bytes(b"1")

    def still_written() -> bool:
        file.write_bytes(file.read_bytes() + b"2")
        return True

    assert output.sync(still_written) == 0
    assert kept(rig) == []
    assert output.sync(settled) == 2


def test_a_file_that_changes_while_it_is_read_leaves_the_object_before_it(
    rig: Rig, output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "checkpoint"
    file.write_bytes(b"whole")
    output.sync(settled)
    file.write_bytes(b"next one")
    real = rig.objects.writer

    def written_on(*arguments: Any, **named: Any) -> Any:
        file.write_bytes(b"next one, torn")
        return real(*arguments, **named)

    monkeypatch.setattr(rig.objects, "writer", written_on)
    assert output.sync(settled) == 0
    monkeypatch.undo()
    assert rig.output("checkpoint") == b"whole"


def test_an_old_checkpoint_goes_only_once_the_next_one_is_stored(rig: Rig, output: Output, tmp_path: Path) -> None:
    (tmp_path / "step-1").write_bytes(b"1")
    output.sync(settled)
    (tmp_path / "step-1").unlink()
    new = tmp_path / "step-2"
    new.write_bytes(b"2")

    def still_written() -> bool:
        new.write_bytes(b"22")
        return True

    output.sync(still_written)
    assert kept(rig) == ["step-1"]
    output.sync(settled)
    assert kept(rig) == ["step-2"]


def test_restored_files_are_not_stored_again_and_are_reported(rig: Rig, output: Output, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"one")
    output.finish(lambda text: None)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    again = Output(rig.objects, fresh, PREFIX)
    assert [file.path for file in again.restore(Stop())] == ["sub/a"]
    assert (fresh / "sub" / "a").read_bytes() == b"one"
    before = [entry.modified for entry in rig.objects.find(PREFIX)]
    assert [(file.path, file.size) for file in again.finish(lambda text: None)] == [("sub/a", 3)]
    assert [entry.modified for entry in rig.objects.find(PREFIX)] == before


def test_a_killed_runner_loses_one_interval_at_most(rig: Rig) -> None:
    rig.request(COUNTING)
    process = rig.start(TRAINYARD_SYNC_SECONDS="0.2")
    until(lambda: kept(rig) == ["step-01", "step-02", "step-03"], "the checkpoints were not stored")
    process.kill()
    process.wait(30)
    assert rig.start(AWS_BATCH_JOB_ATTEMPT="2").wait(60) == 0
    assert rig.printed(2) == "attempt 2 begins with 4\n"
    result = rig.result(2)
    assert (result.restored_files, len(result.outputs)) == (3, 10)


def test_a_stop_stores_log_and_output_and_the_next_attempt_goes_on(rig: Rig) -> None:
    """As at a spot reclaim: SIGTERM, and soon the end. No interval had passed yet."""
    rig.request(COUNTING)
    stop = Stop()
    threading.Thread(target=lambda: (rig.await_printed("standing still"), stop.request()), daemon=True).start()
    assert rig.run(stop, sync_seconds=600.0) == 143
    assert rig.result().ending is Ending.STOPPED
    assert "is kept" in str(rig.result().reason)
    assert [file.path for file in rig.result().outputs] == ["step-01", "step-02", "step-03"]
    assert rig.run(attempt=2) == 0
    assert rig.printed(2) == "attempt 2 begins with 4\n"


def test_a_job_that_loses_its_host_goes_on_from_its_checkpoint(rig: Rig) -> None:
    """Through Batch's own retry: the machine goes, the attempt is started over elsewhere."""
    rig.request(COUNTING)
    known = {name: value for name, value in rig.outer.items() if name in ("PATH", "SSL_CERT_FILE")}
    surroundings = {
        **known,
        "PYTHONPATH": str(LIBRARY),
        "TRAINYARD_CACHE": str(rig.cache),
        "TRAINYARD_SYNC_SECONDS": "0.2",
        "AWS_ENDPOINT_URL": rig.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def launch(spec: JobSpec) -> Launch:
        return Launch([sys.executable, "-m", "trainyard.runner"], {**surroundings, **spec.environment})

    with BatchServer(launcher=launch, grace=1.0) as server:
        client: Any = boto3.client(
            "batch", endpoint_url=server.endpoint, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        job = _submit(client)
        until(lambda: "step-03" in kept(rig), "the checkpoints were not stored")
        server.reclaim(job)
        until(lambda: client.describe_jobs(jobs=[job])["jobs"][0]["status"] == "SUCCEEDED", "it did not go on")
    assert rig.printed(2) == "attempt 2 begins with 4\n"
    assert len(rig.result(2).outputs) == 10


def _submit(client: Any) -> str:
    environment = client.create_compute_environment(
        computeEnvironmentName="cpu",
        type="MANAGED",
        computeResources={
            "type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["subnet-1"],
            "securityGroupIds": ["sg-1"], "instanceRole": "arn:aws:iam::000000000000:instance-profile/ecs",
        },
    )["computeEnvironmentArn"]  # fmt: skip
    queue = client.create_job_queue(
        jobQueueName="cpu", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}]
    )["jobQueueArn"]
    variables = {"TRAINYARD_RUN_ID": RUN_ID, "TRAINYARD_BUCKET": BUCKET}
    definition = client.register_job_definition(
        jobDefinitionName="cpu",
        type="container",
        retryStrategy={
            "attempts": 3,
            "evaluateOnExit": [
                {"onStatusReason": "Host EC2*", "action": "RETRY"},
                {"onReason": "*", "action": "EXIT"},
            ],
        },
        containerProperties={
            "image": "runner",
            "command": ["run"],
            "environment": [{"name": name, "value": value} for name, value in variables.items()],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
        },
    )["jobDefinitionArn"]
    return str(client.submit_job(jobName=RUN_ID, jobQueue=queue, jobDefinition=definition)["jobId"])
