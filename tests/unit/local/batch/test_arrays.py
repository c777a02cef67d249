"""Array jobs: one submission, many children, a parent that counts them."""

import pytest
from botocore.exceptions import ClientError
from unit.local.batch.conftest import Bench

SHOW_INDEX = "import os; print('index', os.environ['AWS_BATCH_JOB_ARRAY_INDEX'], os.environ['AWS_BATCH_JOB_ID'])"
ODD_FAIL = "import os, sys; sys.exit(int(os.environ['AWS_BATCH_JOB_ARRAY_INDEX']) % 2)"
SLEEP = "import time; time.sleep(60)"


def test_each_child_runs_once_with_its_index_and_the_parent_succeeds_with_the_last(bench: Bench) -> None:
    job_id = bench.submit(SHOW_INDEX, arrayProperties={"size": 3})
    parent = bench.until(job_id)
    assert (parent["status"], parent["arrayProperties"]) == (
        "SUCCEEDED",
        {"size": 3, "statusSummary": {"SUCCEEDED": 3}},
    )
    for index in range(3):
        child = bench.job(f"{job_id}:{index}")
        assert (child["status"], child["arrayProperties"]["index"]) == ("SUCCEEDED", index)
        assert f"index {index} {job_id}:{index}" in bench.log(f"{job_id}:{index}")
    assert bench.states(job_id) == ["PENDING", "SUCCEEDED"]
    assert bench.states(f"{job_id}:0") == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_one_failed_child_fails_the_parent_and_no_other_child(bench: Bench) -> None:
    parent = bench.until(bench.submit(ODD_FAIL, arrayProperties={"size": 4}))
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "Array Child Job failed")
    assert parent["arrayProperties"]["statusSummary"] == {"SUCCEEDED": 2, "FAILED": 2}


def test_a_child_is_tried_again_by_itself(bench: Bench) -> None:
    job_id = bench.submit(ODD_FAIL, arrayProperties={"size": 2}, retryStrategy={"attempts": 2})
    bench.until(job_id)
    assert [len(bench.job(f"{job_id}:{index}")["attempts"]) for index in range(2)] == [1, 2]


def test_terminating_the_parent_ends_those_that_run_and_those_that_wait(bench: Bench) -> None:
    job_id = bench.submit(SLEEP, arrayProperties={"size": 6})
    bench.until(f"{job_id}:0", "RUNNING")
    bench.client.terminate_job(jobId=job_id, reason="enough")
    parent = bench.until(job_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "enough")
    assert parent["arrayProperties"]["statusSummary"] == {"FAILED": 6}


def test_a_queue_lists_the_parent_and_the_parent_its_children(bench: Bench) -> None:
    job_id = bench.submit("pass", arrayProperties={"size": 2})
    bench.until(job_id)
    listed = bench.client.list_jobs(jobQueue="cpu", jobStatus="SUCCEEDED")["jobSummaryList"]
    assert [(each["jobId"], each["arrayProperties"]) for each in listed] == [(job_id, {"size": 2})]
    children = bench.client.list_jobs(arrayJobId=job_id, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert {each["jobId"] for each in children} == {f"{job_id}:0", f"{job_id}:1"}


@pytest.mark.parametrize("size", [0, 1, 10_001])
def test_sizes_that_batch_refuses(bench: Bench, size: int) -> None:
    with pytest.raises(ClientError, match="between 2 and 10000"):
        bench.submit("pass", arrayProperties={"size": size})
