"""Multi-node parallel jobs: a main node that decides, others that start with it and end with it."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from unit.local.batch.conftest import Bench

SHOW = """
import os
names = ("NUM_NODES", "NODE_INDEX", "MAIN_NODE_INDEX", "MAIN_NODE_PRIVATE_IPV4_ADDRESS")
print([os.environ.get("AWS_BATCH_JOB_" + name) for name in names], os.environ["SAID"], flush=True)
import time; time.sleep(0 if os.environ["AWS_BATCH_JOB_NODE_INDEX"] != "0" else 1)
"""
OTHERS_SLEEP = "import os, time; time.sleep(1 if os.environ['AWS_BATCH_JOB_NODE_INDEX'] == '0' else 60)"
OTHERS_FAIL = (
    "import os, sys, time; main = os.environ['AWS_BATCH_JOB_NODE_INDEX'] == '0'; time.sleep(60 * main); sys.exit(4)"
)
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def definition(bench: Bench, **more: Any) -> None:
    container = {
        "image": "registry.example/ml/python:3.11",
        "command": ["pass"],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
        "environment": [{"name": "SAID", "value": "by the definition"}],
    }
    properties = {
        "numNodes": 2,
        "mainNode": 0,
        "nodeRangeProperties": [{"targetNodes": "0:", "container": container}],
        **more,
    }
    bench.client.register_job_definition(jobDefinitionName="nodes", type="multinode", nodeProperties=properties)


def submit(bench: Bench, program: str, count: int = 2, **more: Any) -> str:
    containers = {"command": [program], "environment": [{"name": "SAID", "value": "by the run"}]}
    overrides = {
        "numNodes": count,
        "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": containers}],
    }
    more = {"jobQueue": "cpu", "jobDefinition": "nodes", "jobName": "job", "nodeOverrides": overrides, **more}
    return str(bench.client.submit_job(**more)["jobId"])


@pytest.fixture
def bench(bench: Bench) -> Bench:
    definition(bench)
    return bench


def test_each_node_is_told_which_it_is_and_the_job_ends_as_its_main_node_does(bench: Bench) -> None:
    job_id = submit(bench, SHOW, 3)
    job = bench.until(job_id)
    assert (job["status"], job["nodeProperties"]["numNodes"]) == ("SUCCEEDED", 3)
    assert "container" not in job
    assert job["attempts"][0]["container"]["exitCode"] == 0
    assert job["attempts"] == bench.job(f"{job_id}#0")["attempts"]
    assert bench.log(f"{job_id}#0") == "['3', '0', '0', None] by the run\n"
    for index in (1, 2):
        assert bench.log(f"{job_id}#{index}") == f"['3', '{index}', '0', '127.0.0.1'] by the run\n"
        assert bench.job(f"{job_id}#{index}")["nodeDetails"] == {"nodeIndex": index, "isMainNode": False}
    assert bench.states(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_the_others_are_ended_with_the_main_node(bench: Bench) -> None:
    job_id = submit(bench, OTHERS_SLEEP)
    assert bench.until(job_id)["status"] == "SUCCEEDED"
    other = bench.until(f"{job_id}#1")
    assert (other["status"], other["statusReason"]) == (
        "FAILED",
        "The main node of the multi-node parallel job ended",
    )


def test_another_node_s_failure_is_its_own(bench: Bench) -> None:
    job_id = submit(bench, OTHERS_FAIL)
    assert bench.until(f"{job_id}#1")["status"] == "FAILED"
    assert bench.job(job_id)["status"] == "RUNNING"
    bench.client.terminate_job(jobId=job_id, reason="enough")
    job = bench.until(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "enough")


def test_terminating_it_ends_all_nodes(bench: Bench) -> None:
    job_id = submit(bench, SLEEP)
    bench.until(f"{job_id}#1", "RUNNING")
    bench.client.terminate_job(jobId=job_id, reason="enough")
    assert [bench.until(each)["statusReason"] for each in (job_id, f"{job_id}#0", f"{job_id}#1")] == ["enough"] * 3


def test_room_is_taken_for_all_nodes_at_once(bench: Bench) -> None:
    first, second = submit(bench, SLEEP, 3), submit(bench, SLEEP, 2)  # of four vCPUs
    bench.until(f"{first}#2", "RUNNING")
    assert bench.job(second)["status"] == "RUNNABLE"
    front = bench.client.get_job_queue_snapshot(jobQueue="cpu")["frontOfQueue"]["jobs"]
    assert [each["jobArn"].rpartition("/")[2] for each in front] == [second]
    bench.client.terminate_job(jobId=first, reason="enough")
    bench.until(f"{second}#1", "RUNNING")


def test_all_nodes_begin_again_with_the_main_node(bench: Bench) -> None:
    retry = {"attempts": 2, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "RETRY"}]}
    job_id = submit(bench, SLEEP, retryStrategy=retry)
    bench.until(f"{job_id}#1", "RUNNING")
    bench.server.reclaim(f"{job_id}#0")
    bench.until_logged(f"{job_id}#1", "up", attempt=2)
    assert [len(bench.job(each)["attempts"]) for each in (job_id, f"{job_id}#1")] == [1, 1]
    bench.client.terminate_job(jobId=job_id, reason="enough")
    assert len(bench.until(job_id)["attempts"]) == 2


def test_another_node_s_lost_host_causes_no_attempt_until_the_main_node_asks_for_one(
    bench: Bench, tmp_path: Path
) -> None:
    main_exits = (
        "import os, pathlib, sys, time\n"
        "if os.environ['AWS_BATCH_JOB_NODE_INDEX'] == '0' and os.environ['AWS_BATCH_JOB_ATTEMPT'] == '1':\n"
        "    while not pathlib.Path({path!r}).exists(): time.sleep(0.05)\n"
        "    sys.exit(75)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    asked = tmp_path / "asked"
    retry = {
        "attempts": 2,
        "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onExitCode": "75", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }
    job_id = submit(bench, main_exits.format(path=str(asked)), retryStrategy=retry)
    bench.until_logged(f"{job_id}#1", "up")
    bench.server.reclaim(f"{job_id}#1")
    other = bench.until(f"{job_id}#1")
    assert (other["status"], len(other["attempts"])) == ("FAILED", 1)
    assert other["statusReason"].startswith("Host EC2")
    assert bench.job(job_id)["status"] == "RUNNING"
    asked.touch()
    bench.until_logged(f"{job_id}#1", "up", attempt=2)
    assert [len(bench.job(each)["attempts"]) for each in (job_id, f"{job_id}#1")] == [1, 1]
    bench.client.terminate_job(jobId=job_id, reason="enough")
    assert len(bench.until(job_id)["attempts"]) == 2


def test_a_queue_lists_the_job_and_the_job_its_nodes(bench: Bench) -> None:
    job_id = submit(bench, OTHERS_SLEEP)
    bench.until(f"{job_id}#1")
    listed = bench.client.list_jobs(jobQueue="cpu", jobStatus="SUCCEEDED")["jobSummaryList"]
    assert [(each["jobId"], each["nodeProperties"]) for each in listed] == [(job_id, {"numNodes": 2})]
    others = bench.client.list_jobs(multiNodeJobId=job_id, jobStatus="FAILED")["jobSummaryList"]
    assert [each["nodeProperties"] for each in others] == [{"nodeIndex": 1, "isMainNode": False}]


def test_what_batch_refuses(bench: Bench) -> None:
    with pytest.raises(ClientError, match="numNodes must be between"):
        submit(bench, "pass", 0)
    with pytest.raises(ClientError, match="must not be set"):
        submit(bench, "pass", arrayProperties={"size": 2})
    with pytest.raises(ClientError, match="of type container"):
        bench.client.submit_job(jobName="j", jobQueue="cpu", jobDefinition="run", nodeOverrides={"numNodes": 2})
    container = {
        "image": "i",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1"}],
    }
    with pytest.raises(ClientError, match="nothing of node 1"):
        definition(bench, nodeRangeProperties=[{"targetNodes": "0", "container": container}])
    with pytest.raises(ClientError, match="one of the nodes"):
        definition(bench, mainNode=2)
