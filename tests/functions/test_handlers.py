"""Every queue's function with the events it gets: once, twice, and beside a broken one."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from builders import NOW, a_repository, a_run

from trainyard.intake.connection import remember_connection
from trainyard.model.check import Check, CheckAnswer
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.run import FacetState, Job, Run, RunState
from trainyard.store import State, layout
from trainyard.store.table.runs import run_item

Invoke = Callable[[str, Any], Any]
DONE: dict[str, Any] = {"batchItemFailures": []}
JOB = Job(backend="aws_batch", id="job-1")
LOG = "epoch: 1 step: 44, loss is 0.9\nepoch: 2 step: 44, loss is 0.1\n"


def stored(house: State) -> Run:
    run = house.table.run("run-1")
    assert run is not None
    return run


def ended_run(house: State) -> None:
    spec = {
        "boot_file": "train.py",
        "framework": "python-cpu",
        "flavor": "cpu",
        "evaluation": {"require": {"loss": "< 0.5"}},
    }
    house.table.create_run(a_run(state=RunState.SUCCEEDED, attempt=1, spec=spec))
    house.objects.put(layout.log_chunk_key("run-1", 1, 0), gzip.compress(LOG.encode()))
    result = AttemptResult(run_id="run-1", attempt=1, ending=Ending.SUCCEEDED, exit_code=0, finished_at=NOW)
    house.objects.put(layout.result_key("run-1", 1), result.model_dump_json().encode())


def test_track_job_moves_the_run_once(house: State, invoke: Invoke) -> None:
    house.table.create_run(a_run(state=RunState.RUNNING, attempt=1, job=JOB))
    assert invoke("track_job", "batch_succeeded") == DONE
    after = stored(house)
    assert after.state is RunState.SUCCEEDED
    assert invoke("track_job", "batch_succeeded") == DONE
    assert stored(house) == after


def test_a_broken_message_goes_back_alone(house: State, invoke: Invoke) -> None:
    house.table.create_run(a_run(state=RunState.RUNNING, attempt=1, job=JOB))
    assert invoke("track_job", "one_good_one_broken") == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert stored(house).state is RunState.SUCCEEDED


def test_a_job_that_is_not_ours_is_done_with(house: State, invoke: Invoke) -> None:
    assert invoke("track_job", "batch_succeeded") == DONE


def test_index_logs_then_evaluate_run(house: State, invoke: Invoke) -> None:
    ended_run(house)
    assert invoke("index_logs", "run_finished") == DONE
    indexed = stored(house)
    assert (indexed.logs.state, indexed.logs.lines) == (FacetState.DONE, 2)
    assert gzip.decompress(house.objects.get(layout.log_key("run-1"))).decode() == LOG
    assert invoke("evaluate_run", "run_indexed") == DONE
    judged = stored(house)
    assert (judged.evaluation.verdict, judged.evaluation.best["loss"]) == ("passed", 0.1)
    assert invoke("index_logs", "run_finished") == DONE
    assert invoke("evaluate_run", "run_indexed") == DONE
    assert stored(house) == judged


def test_evaluate_run_waits_for_the_log(house: State, invoke: Invoke) -> None:
    ended_run(house)
    assert invoke("evaluate_run", "run_indexed") == DONE
    assert stored(house).evaluation.state is FacetState.NONE


@pytest.mark.parametrize(
    ("function", "event"),
    [
        ("enqueue_job", "run_admitted"),
        ("enqueue_job", "run_stop_requested"),
        ("index_logs", "run_finished"),
        ("evaluate_run", "run_indexed"),
        ("report_status", "run_running"),
        ("validate_repo", "run_requested"),
        ("validate_repo", "push_received"),
        ("validate_repo", "check_requested"),
    ],
)
def test_an_event_about_what_is_gone_is_done_with(invoke: Invoke, function: str, event: str) -> None:
    assert invoke(function, event) == DONE


def test_validate_repo_answers_a_check_once(house: State, invoke: Invoke) -> None:
    house.table.create_check(Check(id="check-1", project="demo/lenet5", requested_by="demo", requested_at=NOW))
    assert invoke("validate_repo", "check_requested") == DONE
    answer = house.objects.get(layout.check_key("check-1"))
    assert [one.rule for one in CheckAnswer.model_validate_json(answer).findings] == ["commit-unavailable"]
    assert invoke("validate_repo", "check_requested") == DONE
    assert house.objects.get(layout.check_key("check-1")) == answer


def test_api_answers_with_pages_outside_its_version(invoke: Invoke) -> None:
    event = {
        "rawPath": "/",
        "headers": {"accept-language": "zh-CN"},
        "requestContext": {"http": {"method": "GET", "path": "/"}, "domainName": "api.example"},
    }
    answer = invoke("api", event)
    assert answer["headers"]["content-type"] == "text/html; charset=utf-8"
    assert "登录" in base64.b64decode(answer["body"]).decode()


def test_receive_push_takes_events_of_codecommit(house: State, invoke: Invoke) -> None:
    assert invoke("receive_push", "codecommit_push") == DONE
    assert house.table.pushes_of("demo/lenet5").rows == [], "nobody connected it"
    address = "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/trainyard-demo-lenet5"
    repository = a_repository(host="codecommit", clone_url=address)
    house.table.create_repository(repository)
    assert remember_connection(house, repository)
    for _ in range(2):
        assert invoke("receive_push", "codecommit_push") == DONE
    (push,) = house.table.pushes_of("demo/lenet5").rows
    assert (push.ref, push.commit, push.before, push.pusher) == ("refs/heads/main", "a" * 40, "b" * 40, "demo")


def test_receive_push_answers_webhooks(invoke: Invoke) -> None:
    event = {
        "rawPath": "/hooks/github/demo/lenet5",
        "headers": {"x-github-event": "ping"},
        "requestContext": {
            "http": {"method": "POST", "path": "/hooks/github/demo/lenet5"},
            "domainName": "api.example",
        },
        "body": "{}",
    }
    assert invoke("receive_push", event)["statusCode"] == 401


def test_publish_changes_sends_what_changed(house: State, invoke: Invoke) -> None:
    import boto3

    queue = boto3.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    arn = boto3.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    boto3.client("events").put_rule(
        Name="r", EventBusName="trainyard", EventPattern=json.dumps({"detail-type": ["run.requested"]})
    )
    boto3.client("events").put_targets(Rule="r", EventBusName="trainyard", Targets=[{"Id": "q", "Arn": arn}])
    record = {"dynamodb": {"SequenceNumber": "1", "NewImage": run_item(a_run())}}
    assert invoke("publish_changes", {"Records": [record]}) == DONE
    message = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"][0]
    assert json.loads(message["Body"])["detail"]["run_id"] == "run-1"


def test_publish_changes_names_where_to_start_again(
    house: State, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainyard.store.bus import Bus

    monkeypatch.setattr(Bus, "send", lambda _self, changes: changes[0].sequence)
    record = {"dynamodb": {"SequenceNumber": "7", "NewImage": run_item(a_run())}}
    assert invoke("publish_changes", {"Records": [record]}) == {"batchItemFailures": [{"itemIdentifier": "7"}]}


def test_sweep_looks_at_every_active_run(house: State, invoke: Invoke) -> None:
    house.table.create_run(a_run())
    assert invoke("sweep", {})["looked_at"] == 1


def test_keep_journal_keeps_what_changed(house: State, invoke: Invoke) -> None:
    change = {"SequenceNumber": "1", "ApproximateCreationDateTime": 1767225600, "Keys": {"pk": {"S": "RUN#run-1"}}}
    record = {"eventID": "e1", "dynamodb": {**change, "NewImage": run_item(a_run())}}
    key = invoke("keep_journal", {"Records": [record]})["key"]
    assert key == "journal/2026-01-01/00-00-00.000000-e1.jsonl.gz"
    (line,) = gzip.decompress(house.objects.get(key)).splitlines()
    assert json.loads(line)["row"] == run_item(a_run())
