"""Listing, describing, tags and snapshots, through the real client."""

from typing import Any


def names(page: dict[str, Any]) -> list[str]:
    return [each["jobName"] for each in page["jobSummaryList"]]


def by_name(bench: Any, pattern: str, **more: Any) -> list[str]:
    return names(bench.client.list_jobs(jobQueue="cpu", filters=[{"name": "JOB_NAME", "values": [pattern]}], **more))


def test_jobs_are_found_by_name_in_any_state(bench: Any) -> None:
    for name in ("run-1", "RUN-1", "run-12", "other"):
        bench.submit(name=name)
    assert bench.server.wait_idle(30)
    assert by_name(bench, "run-1") == ["RUN-1", "run-1"]
    assert by_name(bench, "run-1*") == ["run-12", "RUN-1", "run-1"]
    assert by_name(bench, "run-") == []
    assert by_name(bench, "*") == ["other", "run-12", "RUN-1", "run-1"]
    assert by_name(bench, "run-1", jobStatus="RUNNING") == ["RUN-1", "run-1"]


def test_a_job_is_found_by_name_the_moment_it_is_submitted(bench: Any) -> None:
    for n in range(20):
        job_id = bench.submit(name=f"run-{n}")
        page = bench.client.list_jobs(jobQueue="cpu", filters=[{"name": "JOB_NAME", "values": [f"run-{n}"]}])
        assert [each["jobId"] for each in page["jobSummaryList"]] == [job_id]


def test_jobs_of_a_status(bench: Any) -> None:
    good, bad = bench.submit(name="good"), bench.submit("raise SystemExit(2)", name="bad")
    bench.until(good)
    bench.until(bad)
    running = bench.submit("import time; time.sleep(600)", name="up")
    bench.until(running, "RUNNING")
    assert names(bench.client.list_jobs(jobQueue="cpu")) == ["up"]
    [summary] = bench.client.list_jobs(jobQueue="cpu", jobStatus="FAILED")["jobSummaryList"]
    assert (summary["jobId"], summary["container"]["exitCode"], summary["status"]) == (bad, 2, "FAILED")
    assert names(bench.client.list_jobs(jobQueue="cpu", jobStatus="SUCCEEDED")) == ["good"]


def test_pages_neither_skip_nor_repeat_while_jobs_come_in(bench: Any) -> None:
    first = [bench.submit(name=f"n-{n}") for n in range(7)]
    filters = [{"name": "JOB_NAME", "values": ["n-*"]}]
    seen, token = [], {}
    for number in range(10):
        page = bench.client.list_jobs(jobQueue="cpu", filters=filters, maxResults=3, **token)
        seen += [each["jobId"] for each in page["jobSummaryList"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
        bench.submit(name=f"n-late-{number}")
    assert seen == first[::-1]


def test_time_and_definition_filters(bench: Any) -> None:
    job_id = bench.submit(name="a")
    created = bench.job(job_id)["createdAt"]

    def found(name: str, value: Any) -> int:
        filters = [{"name": name, "values": [str(value)]}]
        return len(bench.client.list_jobs(jobQueue="cpu", filters=filters)["jobSummaryList"])

    assert (found("AFTER_CREATED_AT", created - 1), found("AFTER_CREATED_AT", created)) == (1, 0)
    assert (found("BEFORE_CREATED_AT", created + 1), found("BEFORE_CREATED_AT", created)) == (1, 0)
    assert (found("JOB_DEFINITION", "run*"), found("JOB_DEFINITION", "other*")) == (1, 0)


def test_unknown_jobs_are_left_out(bench: Any) -> None:
    job_id = bench.submit()
    jobs = bench.client.describe_jobs(jobs=["unknown", job_id])["jobs"]
    assert [job["jobId"] for job in jobs] == [job_id]


def test_revisions(bench: Any) -> None:
    assert bench.definition("d").endswith(":job-definition/d:1")
    second = bench.definition("d", properties={"image": "python:2"})
    assert second.endswith(":job-definition/d:2")
    describe = bench.client.describe_job_definitions
    found = describe(jobDefinitionName="d", status="ACTIVE")["jobDefinitions"]
    assert [each["revision"] for each in found] == [2, 1]
    assert [each["revision"] for each in describe(jobDefinitions=[second])["jobDefinitions"]] == [2]
    assert [each["revision"] for each in describe(jobDefinitions=["d:1"])["jobDefinitions"]] == [1]
    for asked, image in (("d", "python:2"), ("d:1", "registry.example/ml/python:3.11"), (second, "python:2")):
        assert bench.until(bench.submit(jobDefinition=asked))["container"]["image"] == image


def test_tags(bench: Any) -> None:
    job = bench.job(bench.submit(tags={"run": "r-1"}))
    queue = bench.client.describe_job_queues(jobQueues=["cpu"])["jobQueues"][0]["jobQueueArn"]
    definition = bench.definition("tagged", tags={"a": "1"})
    for arn, before in ((job["jobArn"], {"run": "r-1"}), (queue, {}), (definition, {"a": "1"})):
        assert bench.client.list_tags_for_resource(resourceArn=arn)["tags"] == before
        bench.client.tag_resource(resourceArn=arn, tags={"团队": "视觉"})
        assert bench.client.list_tags_for_resource(resourceArn=arn)["tags"] == {**before, "团队": "视觉"}


def test_a_snapshot_shows_who_is_next(make_bench: Any) -> None:
    bench = make_bench(prepared=False)
    bench.queue(vcpus=1)
    bench.definition()
    bench.until(bench.submit("import time; time.sleep(600)"), "RUNNING")
    waiting = [bench.submit() for _ in range(3)]
    for job_id in waiting:
        bench.until(job_id, "RUNNABLE")
    front = bench.client.get_job_queue_snapshot(jobQueue="cpu")["frontOfQueue"]["jobs"]
    assert [each["jobArn"].rsplit("/")[-1] for each in front] == waiting


def test_queues_and_environments_are_described(bench: Any) -> None:
    bench.queue("gpu")
    queues = bench.client.describe_job_queues()["jobQueues"]
    assert [(each["jobQueueName"], each["state"], each["status"]) for each in queues] == [
        ("cpu", "ENABLED", "VALID"),
        ("gpu", "ENABLED", "VALID"),
    ]
    [environment] = bench.client.describe_compute_environments(computeEnvironments=["gpu"])["computeEnvironments"]
    assert environment["computeResources"]["maxvCpus"] == 4
    page = bench.client.describe_job_queues(maxResults=1)
    rest = bench.client.describe_job_queues(maxResults=1, nextToken=page["nextToken"])
    assert [each["jobQueueName"] for each in page["jobQueues"] + rest["jobQueues"]] == ["cpu", "gpu"]
    assert "nextToken" not in rest
