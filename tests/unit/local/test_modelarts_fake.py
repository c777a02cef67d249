"""The embedded ModelArts is held to the official SDK: what the SDK sends it takes, what it answers the SDK reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkmodelarts import v1
from modelarts_fixture import AK, PROJECT, SK, client_of, job_body, modelarts

from infra.local.modelarts import shapes
from infra.local.modelarts.server import ModelArtsServer

TOPIC = "urn:smn:cn-north-4:77b6a44cba5143ab91d13ab9a8ff44fd:trainyard"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ModelArtsServer]:
    with modelarts(tmp_path) as server:
        yield server


@pytest.fixture
def sdk(server: ModelArtsServer) -> v1.ModelArtsClient:
    builder = v1.ModelArtsClient.new_builder().with_credentials(BasicCredentials(AK, SK, PROJECT))
    return builder.with_endpoint(server.endpoint).build()


def sdk_job(run_id: str = "run-1", program: str = "ok") -> v1.Job:
    """The same job as `job_body`, in the SDK's words."""
    place = f"obs://obs-bucket/trainyard/{run_id}"
    return v1.Job(
        kind="job",
        metadata=v1.JobMetadata(name=run_id, description="demo/lenet5 lenet5"),
        algorithm=v1.JobAlgorithm(
            code_dir=f"{place}/code/",
            boot_file=f"{place}/code/trainyard_boot.py",
            engine=v1.JobEngine(
                engine_name="Ascend-Powered-Engine",
                engine_version="mindspore_2.3.0-cann_8.0.rc1-py_3.9-euler_2.10.7-aarch64",
            ),
            parameters=[v1.Parameters(name="epochs", value="10"), v1.Parameters(name="fast", value="true")],
            inputs=[],
            outputs=[
                v1.Output(name=name, remote=v1.Remote(obs=v1.RemoteObs(obs_url=f"{place}/outputs/{name}/")))
                for name in ("output_path", "aim_repo", "trainyard_report")
            ],
            environments={
                "PROGRAM": program, "TRAINYARD_RUN_ID": run_id, "TRAINYARD_ATTEMPT": "1", "TRAINYARD_TIMEOUT": "7200",
            },
        ),
        spec=v1.Spec(
            resource=v1.SpecResource(flavor_id="modelarts.kat1.xlarge.public", node_count=2),
            log_export_path=v1.LogExportPath(obs_url=f"{place}/log/"),
            auto_stop=v1.AutoStop(time_unit="HOURS", duration=3),
            notification=v1.Notification(topic_urn=TOPIC, events=["JobCompleted", "JobFailed", "JobTerminated"]),
        ),
    )  # fmt: skip


def test_the_sdk_and_we_send_the_same_bodies(server: ModelArtsServer, sdk: v1.ModelArtsClient) -> None:
    ours = client_of(server)
    wanted = {"hyperparameters": {"epochs": 10, "fast": True}, "aim": True, "timeout": "2h", "nodes": 2}
    ours.create(job_body(topic=TOPIC, **wanted))
    sdk.create_training_job(v1.CreateTrainingJobRequest(body=sdk_job()))
    ours.find("run-1")
    filters = [v1.Filter(key="name", operator="like", value=["run-1"])]
    searches = v1.JobSearches(offset=0, limit=50, sort_by="create_time", order="desc", filters=filters)
    sdk.list_training_jobs(v1.ListTrainingJobsRequest(body=searches))
    job = server.jobs.named_like("run-1")[0].id
    ours.stop(job)
    with pytest.raises(ClientRequestException):  # it is being stopped already
        sdk.stop_training_job(
            v1.StopTrainingJobRequest(training_job_id=job, body=v1.JobActionType(action_type="terminate"))
        )
    for operation in ("create", "search", "act"):
        first, second = (body for name, body in server.requests if name == operation)
        assert first == second


def test_the_sdk_reads_every_answer(server: ModelArtsServer, sdk: v1.ModelArtsClient) -> None:
    made = sdk.create_training_job(v1.CreateTrainingJobRequest(body=sdk_job()))
    assert made.status_code == 201
    job = made.metadata.id
    deadline = time.monotonic() + 20
    while (
        sdk.show_training_job_details(v1.ShowTrainingJobDetailsRequest(training_job_id=job)).status.phase != "Completed"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    details = sdk.show_training_job_details(v1.ShowTrainingJobDetailsRequest(training_job_id=job))
    assert (details.status.task_statuses[0].exit_code, details.status.running_records[0].start_at > 0) == (0, True)
    preview = sdk.show_training_job_logs_preview(
        v1.ShowTrainingJobLogsPreviewRequest(training_job_id=job, task_id="worker-0")
    )
    assert (preview.content, preview.full_size) == ("ok\n", 3)
    events = sdk.list_training_job_events(v1.ListTrainingJobEventsRequest(training_job_id=job, limit=10, offset=0))
    assert events.events[0].message.endswith("Completed")
    stages = sdk.list_training_job_stages(v1.ListTrainingJobStagesRequest(training_job_id=job))
    assert [stage.name for stage in stages.running_records[0].stages] == ["scheduling", "preparing", "running", "end"]
    flavors = sdk.show_training_job_flavors(v1.ShowTrainingJobFlavorsRequest(flavor_type="Ascend")).flavors
    assert [flavor.flavor_info.npu.unit_num for flavor in flavors] == ["1", "8"]
    assert len(sdk.show_training_job_engines(v1.ShowTrainingJobEnginesRequest()).items) == 2


def test_answers_have_the_sdks_shapes(server: ModelArtsServer) -> None:
    client = client_of(server)
    made = client.create(job_body())
    assert shapes.faults(made, "JobResponse") == []
    assert [fault for flavor in client.flavors() for fault in shapes.faults(flavor, "FlavorResponseWithSupport")] == []
    assert [fault for engine in client.engines() for fault in shapes.faults(engine, "ListEnginesItems")] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metadata": {"name": "run-1", "nickname": "x"}}, "body.metadata.nickname is not known"),
        ({"spec": {"resource": {"flavor_id": "f", "node_count": "1"}}}, "body.spec.resource.node_count is no int"),
        ({"algorithm": {"parameters": [{"name": "epochs", "value": 10}]}}, "parameters[0].value is no str"),
    ],
)
def test_a_body_that_the_sdk_could_not_have_made_is_refused(
    server: ModelArtsServer, change: dict[str, Any], said: str
) -> None:
    wrong = shapes.faults({**job_body(), **change}, "Job")
    assert any(said in fault for fault in wrong), wrong


def test_a_signature_of_another_key_or_over_another_body_is_refused(server: ModelArtsServer) -> None:
    from datetime import UTC, datetime

    import urllib3

    from trainyard.compute.modelarts.signing import signed

    url = f"{server.endpoint}/v2/{PROJECT}/training-job-searches"
    headers = signed("POST", url, {"Content-Type": "application/json"}, b'{"offset": 0}', AK, SK, datetime.now(UTC))
    assert urllib3.request("POST", url, headers=headers, body=b'{"offset": 0}').status == 200
    assert urllib3.request("POST", url, headers=headers, body=b'{"offset": 1}').status == 401
    assert urllib3.request("POST", url, headers={"Content-Type": "application/json"}, body=b"{}").status == 401
