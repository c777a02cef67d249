"""What Batch refuses, the embedded one refuses too: ClientException, HTTP 400, and nothing is changed."""

import http.client
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(call: Any, *words: str, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["Error"]["Code"] == "ClientException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"]["Message"]
    for word in words:
        assert word in answer["Error"]["Message"]
    return str(answer["Error"]["Message"])


@pytest.mark.parametrize(
    "bad",
    [
        {"jobName": "_x"},
        {"jobName": ""},
        {"jobName": "a b"},
        {"jobName": "x" * 129},
        {"jobName": "x\n"},
        {"jobQueue": "none"},
        {"jobDefinition": "none"},
        {"jobDefinition": "run:9"},
        {"timeout": {"attemptDurationSeconds": 59}},
        {"retryStrategy": {"attempts": 0}},
        {"retryStrategy": {"attempts": 11}},
        {"retryStrategy": {"evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}] * 6}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "EXIT"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "a*b", "action": "EXIT"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onExitCode": "x", "action": "EXIT"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "*", "action": "MAYBE"}]}},
        {"parameters": {"long": "x" * (30 * 1024)}},
        {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "-1"}]}},
        {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "nan"}]}},
        {"containerOverrides": {"resourceRequirements": [{"type": "MEMORY", "value": "1.5"}]}},
        {"containerOverrides": {"resourceRequirements": [{"type": "TPU", "value": "1"}]}},
        {"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}},
        {"tags": {"aws:x": "1"}},
        {"tags": {f"k{n}": "1" for n in range(51)}},
        {"shareIdentifier": "a"},
        {"schedulingPriorityOverride": 1},
        {"dependsOn": [{"jobId": "x"}]},
        {"arrayProperties": {"size": 1}},
    ],
)
def test_submissions(bench: Any, bad: dict[str, Any]) -> None:
    refused(bench.client.submit_job, **{"jobName": "j", "jobQueue": "cpu", "jobDefinition": "run", **bad})
    assert (
        bench.client.list_jobs(jobQueue="cpu", filters=[{"name": "JOB_NAME", "values": ["*"]}])["jobSummaryList"] == []
    )


def test_edges_that_are_taken(bench: Any) -> None:
    bench.submit(name="x" * 128, timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 10})
    bench.submit(tags={f"k{n}": "1" for n in range(50)}, parameters={"long": "x" * 28_000})
    assert bench.server.wait_idle(30)


def test_a_disabled_queue(bench: Any) -> None:
    bench.client.update_job_queue(jobQueue="cpu", state="DISABLED")
    refused(bench.client.submit_job, "ENABLED", jobName="j", jobQueue="cpu", jobDefinition="run")
    bench.client.update_job_queue(jobQueue="cpu", state="ENABLED")
    assert bench.until(bench.submit())["status"] == "SUCCEEDED"


def test_a_fair_queue_wants_a_share(make_bench: Any) -> None:
    bench = make_bench(prepared=False)
    bench.queue(schedulingPolicyArn=bench.client.create_scheduling_policy(name="p")["arn"])
    bench.definition()
    submit = bench.client.submit_job
    refused(submit, "shareIdentifier", jobName="j", jobQueue="cpu", jobDefinition="run")
    refused(
        submit, jobName="j", jobQueue="cpu", jobDefinition="run", shareIdentifier="a", schedulingPriorityOverride=10_000
    )


@pytest.mark.parametrize(
    "change",
    [
        {"image": ""},
        {"resourceRequirements": [{"type": "VCPU", "value": "1"}]},
        {"resourceRequirements": [{"type": "MEMORY", "value": "1"}]},
        {"environment": [{"name": "AWS_BATCH_JOB_ID", "value": "1"}]},
    ],
)
def test_definitions(bench: Any, change: dict[str, Any]) -> None:
    good = {"image": "i", "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1"}]}
    register = bench.client.register_job_definition
    refused(register, jobDefinitionName="d", type="container", containerProperties={**good, **change})
    refused(register, jobDefinitionName="d d", type="container", containerProperties=good)
    refused(register, jobDefinitionName="d", type="multinode", containerProperties=good)
    refused(register, jobDefinitionName="d", type="container")
    assert bench.client.describe_job_definitions(jobDefinitionName="d")["jobDefinitions"] == []


def test_queues_and_environments(bench: Any) -> None:
    order = [{"order": 1, "computeEnvironment": "cpu"}]
    create = bench.client.create_job_queue
    refused(create, "exists", jobQueueName="cpu", priority=1, computeEnvironmentOrder=order)
    refused(create, jobQueueName="q", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "none"}])
    refused(create, jobQueueName="q", priority=1, computeEnvironmentOrder=[])
    refused(bench.client.create_compute_environment, computeEnvironmentName="m", type="MANAGED")
    refused(bench.client.create_compute_environment, "exists", computeEnvironmentName="cpu", type="UNMANAGED")


def test_reading_and_ending(bench: Any) -> None:
    refused(bench.client.describe_jobs, "100", jobs=["x"] * 101)
    refused(bench.client.list_jobs)
    refused(bench.client.list_jobs, jobQueue="none")
    refused(bench.client.list_jobs, jobQueue="cpu", nextToken="made up")
    refused(bench.client.list_jobs, jobQueue="cpu", maxResults=1001)
    since = [{"name": "AFTER_CREATED_AT", "values": ["0"]}]
    refused(bench.client.list_jobs, jobQueue="cpu", filters=since, maxResults=101)
    refused(bench.client.list_jobs, jobQueue="cpu", jobStatus="DONE")
    refused(bench.client.list_jobs, jobQueue="cpu", filters=[{"name": "COLOUR", "values": ["red"]}])
    refused(bench.client.terminate_job, jobId="none", reason="x")
    refused(bench.client.cancel_job, jobId="none", reason="x")
    job_id = bench.submit()
    refused(bench.client.terminate_job, jobId=job_id, reason="")
    refused(bench.client.get_job_queue_snapshot, jobQueue="none")
    refused(bench.client.list_tags_for_resource, resourceArn="arn:aws:batch:us-east-1:000000000000:job-queue/none")
    refused(bench.client.list_tags_for_resource, resourceArn="arn:aws:s3:::bucket")


def test_what_is_not_offered_says_so(bench: Any) -> None:
    refused(bench.client.deregister_job_definition, "not offered", jobDefinition="run:1")


def test_what_is_in_use_is_not_deleted(bench: Any) -> None:
    client = bench.client
    policy = client.create_scheduling_policy(name="fair")["arn"]
    bench.queue("fair", schedulingPolicyArn=policy)
    refused(client.delete_compute_environment, "JobQueue", computeEnvironment="fair")
    refused(client.delete_scheduling_policy, "used", arn=policy)
    refused(client.delete_job_queue, "DISABLED", jobQueue="fair")
    refused(client.update_job_queue, "without", jobQueue="cpu", schedulingPolicyArn=policy)
    client.update_job_queue(jobQueue="fair", state="DISABLED")
    client.delete_job_queue(jobQueue="fair")
    client.delete_compute_environment(computeEnvironment="fair")
    client.delete_scheduling_policy(arn=policy)
    assert client.describe_scheduling_policies(arns=[policy])["schedulingPolicies"] == []


SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "kind"),
    [
        ("POST", "/v1/submitjob", "{}", {}, 403, "MissingAuthenticationTokenException"),
        ("POST", "/v1/submitjob", "{}", {**SIGNED, "Host": "evil.example"}, 403, "AccessDeniedException"),
        ("POST", "/v1/submitjob", "{", SIGNED, 400, "ClientException"),
        ("POST", "/v1/submitjob", "[" * 20_000, SIGNED, 400, "ClientException"),
        ("POST", "/v1/submitjob", "[]", SIGNED, 400, "ClientException"),
        ("POST", "/v1/submitjob", "\xff\xfe", SIGNED, 400, "ClientException"),
        ("POST", "/v1/submitjob", '{"jobName": 1}', SIGNED, 400, "ClientException"),
        ("POST", "/v1/describejobs", '{"jobs": [], "more": 1}', SIGNED, 400, "ClientException"),
        ("GET", "/v1/describejobs", "", SIGNED, 400, "ClientException"),
        ("GET", "/", "", SIGNED, 400, "ClientException"),
    ],
)
def test_raw_requests(
    bench: Any, method: str, path: str, body: str, headers: dict[str, str], status: int, kind: str
) -> None:
    connection = http.client.HTTPConnection(bench.server.endpoint.removeprefix("http://"), timeout=10)
    connection.request(method, path, body.encode("latin-1"), headers)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, kind)
    assert json.loads(answer.read())["message"]
    connection.close()


def test_a_bug_of_ours_is_a_server_exception(bench: Any, monkeypatch: Any) -> None:
    from infra.local.batch import listing

    monkeypatch.setattr(listing, "describe_jobs", lambda _state, _request: {"jobs": [{"colour": "red"}]})
    with pytest.raises(ClientError) as caught:
        bench.client.describe_jobs(jobs=["x"])
    assert caught.value.response["Error"]["Code"] == "ServerException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
