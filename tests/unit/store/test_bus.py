"""From a changed row to an event."""

from __future__ import annotations

import json
from typing import Any

from builders import NOW, a_push, a_run

from trainyard.model import lifecycle
from trainyard.model.check import Check
from trainyard.model.event_name import EventName
from trainyard.model.run import FacetState, LogsFacet, Run, RunState
from trainyard.store import State
from trainyard.store.bus import Bus, changes_in
from trainyard.store.table.checks import check_item
from trainyard.store.table.pushes import push_item
from trainyard.store.table.runs import run_item


def record(old: Any, new: Any, sequence: str = "1") -> dict[str, Any]:
    images = {"SequenceNumber": sequence}
    if old is not None:
        images["OldImage"] = old
    if new is not None:
        images["NewImage"] = new
    return {"dynamodb": images}


def names(old: Run | None, new: Run | None) -> list[EventName]:
    images = [run_item(run) if run else None for run in (old, new)]
    return [change.name for change in changes_in([record(*images)])]


def test_each_change_says_one_thing() -> None:
    run = a_run(state=RunState.RUNNING, attempt=1)
    ended = a_run(state=RunState.FAILED, attempt=1)
    assert names(None, a_run()) == [EventName.RUN_REQUESTED]
    assert names(None, a_run(state=RunState.REJECTED)) == [EventName.RUN_REJECTED]
    assert names(run, ended) == [EventName.RUN_FINISHED]
    assert names(run, lifecycle.request_stop(run, "demo", NOW)) == [EventName.RUN_STOP_REQUESTED]
    assert names(run, a_run(state=RunState.RUNNING, attempt=2)) == [EventName.RUN_RUNNING]
    indexed = lifecycle.logs_indexed(ended, LogsFacet(state=FacetState.DONE, lines=1), None, NOW)
    assert names(ended, indexed) == [EventName.RUN_INDEXED]
    assert names(ended, lifecycle.end_told(ended, NOW)) == []
    assert names(ended, None) == []
    admitted = a_run(state=RunState.ADMITTED)
    assert names(admitted, lifecycle.nudge(admitted, NOW)) == [EventName.RUN_ADMITTED]


def test_a_push_speaks_when_it_arrives_and_not_again() -> None:
    new = push_item(a_push())
    assert [change.name for change in changes_in([record(None, new)])] == [EventName.PUSH_RECEIVED]
    assert changes_in([record(new, push_item(a_push(checked_at=NOW)))]) == []


def test_a_check_is_asked_once() -> None:
    check = Check(id="check-1", project="demo/lenet5", requested_by="demo", requested_at=NOW)
    new = check_item(check)
    assert [change.name for change in changes_in([record(None, new)])] == [EventName.CHECK_REQUESTED]
    assert changes_in([record(new, new)]) == []


def test_events_arrive_on_the_bus_in_order(state: State) -> None:
    import boto3

    queue = boto3.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    arn = boto3.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    events = boto3.client("events")
    events.put_rule(Name="all", EventBusName="trainyard", EventPattern=json.dumps({"source": ["trainyard"]}))
    events.put_targets(Rule="all", EventBusName="trainyard", Targets=[{"Id": "q", "Arn": arn}])
    runs = [a_run(f"run-{number:02d}") for number in range(23)]
    assert state.bus.send(changes_in([record(None, run_item(run), str(n)) for n, run in enumerate(runs)])) is None
    seen = []
    while messages := boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            seen.append(json.loads(message["Body"])["detail"]["run_id"])
            boto3.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert sorted(seen) == [run.id for run in runs]


def test_the_first_event_that_was_not_taken_is_named() -> None:
    class Refusing:
        """An EventBridge that takes all but the twelfth entry."""

        taken = 0

        def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - as boto3 names it
            answer = []
            for _ in Entries:
                self.taken += 1
                answer.append({"ErrorCode": "ThrottlingException"} if self.taken == 12 else {"EventId": "e"})
            return {"Entries": answer}

    bus = Bus("trainyard", Refusing())  # type: ignore[arg-type]
    changes = changes_in([record(None, run_item(a_run(f"run-{n}")), f"sequence-{n}") for n in range(15)])
    assert bus.send(changes) == "sequence-11"
