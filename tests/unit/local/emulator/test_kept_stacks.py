"""A stack that stands keeps what lies in it, whatever an update of its template changes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ministack.services import dynamodb, s3, sqs
from ministack.services.cloudformation import engine, helpers, provisioners

from infra.local.emulator.nested_stacks import keep_what_stands

STORAGE = Path(__file__).resolve().parents[4] / "infra" / "storage.yaml"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(autouse=True)
def own_emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = {name: getattr(provisioners, name) for name in ("_update_resource", "_physical_name")}
    keep_what_stands()
    yield
    for name, function in before.items():
        setattr(provisioners, name, function)


class Storage:
    """The stack of infra/storage.yaml, nested in another, with a row and an object in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.template = engine._parse_template(STORAGE.read_text())
        monkeypatch.setattr(helpers, "_resolve_template", lambda _request: (json.dumps(self.template), None))
        created = provisioners._cfn_nested_stack_create("Storage", {"TemplateURL": "one"}, "trainyard")
        self.id, self.outputs = created
        provisioners._NAME_SEED.set("")  # what the emulator does after each resource of the outer stack
        self.table, self.bucket = self.outputs["Outputs.TableName"], self.outputs["Outputs.BucketName"]
        row = {"pk": "RUN#1", "active": "yes", "sort": "1", "weight": "heavy"}
        self.ask(dynamodb._put_item, Item={name: {"S": value} for name, value in row.items()})
        s3._buckets[self.bucket]["objects"]["runs/1"] = "an object"

    def update(self, change: Change) -> dict[str, Any]:
        """Its outputs."""
        changed = copy.deepcopy(self.template)
        change(changed["Resources"])
        self.template = changed
        _, outputs = provisioners._cfn_nested_stack_update(self.id, {}, {"TemplateURL": "two"}, "trainyard")
        return dict(outputs)

    def ask(self, operation: Any, **data: Any) -> dict[str, Any]:
        status, _, body = operation({"TableName": self.table, **data})
        assert status == 200, body
        return dict(json.loads(body))

    def active(self) -> list[dict[str, Any]]:
        return list(
            self.ask(
                dynamodb._query,
                IndexName="active",
                KeyConditionExpression="active = :yes",
                ExpressionAttributeValues={":yes": {"S": "yes"}},
            )["Items"]
        )

    def holds_everything(self) -> bool:
        row = self.ask(dynamodb._get_item, Key={"pk": {"S": "RUN#1"}})["Item"]
        return row["weight"] == {"S": "heavy"} and s3._buckets[self.bucket]["objects"] == {"runs/1": "an object"}


def project(kind: str) -> Change:
    def change(resources: dict[str, Any]) -> None:
        indexes = resources["Table"]["Properties"]["GlobalSecondaryIndexes"]
        next(index for index in indexes if index["IndexName"] == "active")["Projection"] = {"ProjectionType": kind}

    return change


def set_table(name: str, value: Any) -> Change:
    return lambda resources: resources["Table"]["Properties"].__setitem__(name, value)


def set_bucket(name: str, value: Any) -> Change:
    return lambda resources: resources["Bucket"]["Properties"].__setitem__(name, value)


def drop_index(resources: dict[str, Any]) -> None:
    del resources["Table"]["Properties"]["GlobalSecondaryIndexes"][1]


def add_index(resources: dict[str, Any]) -> None:
    index = {
        "IndexName": "by_weight",
        "KeySchema": [{"AttributeName": "weight", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    properties = resources["Table"]["Properties"]
    properties["AttributeDefinitions"].append({"AttributeName": "weight", "AttributeType": "S"})
    properties["GlobalSecondaryIndexes"].append(index)


def test_an_index_is_projected_anew_over_the_rows_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(monkeypatch)
    for kind, held in (("ALL", {"pk", "active", "sort", "weight"}), ("KEYS_ONLY", {"pk", "active", "sort"})):
        assert storage.update(project(kind)) == storage.outputs
        assert storage.holds_everything()
        assert [set(row) for row in storage.active()] == [held]


@pytest.mark.parametrize(
    "change",
    [
        drop_index,
        add_index,
        set_table("StreamSpecification", {"StreamViewType": "NEW_IMAGE"}),
        set_table("TimeToLiveSpecification", {"AttributeName": "ends", "Enabled": True}),
        set_table("PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False}),
        set_table("SSESpecification", {"SSEEnabled": True}),
        set_table("DeletionProtectionEnabled", True),
        set_table("Tags", [{"Key": "a", "Value": "b"}]),
        set_bucket("LifecycleConfiguration", {"Rules": [{"Id": "a", "Status": "Enabled", "ExpirationInDays": 1}]}),
        set_bucket("VersioningConfiguration", {"Status": "Suspended"}),
        set_bucket("Tags", [{"Key": "a", "Value": "b"}]),
    ],
)
def test_table_and_bucket_stay_under_every_change_that_aws_makes_in_place(
    monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    storage = Storage(monkeypatch)
    assert storage.update(change) == storage.outputs
    assert storage.holds_everything()


def other_key(resources: dict[str, Any]) -> None:
    resources["Table"]["Properties"]["KeySchema"] = [{"AttributeName": "sort", "KeyType": "HASH"}]


def other_type(resources: dict[str, Any]) -> None:
    resources["Table"]["Properties"]["AttributeDefinitions"][3]["AttributeType"] = "N"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (other_key, "KeySchema"),
        (other_type, "AttributeDefinitions"),
        (set_table("TableName", "another"), "TableName"),
        (set_bucket("BucketName", "another"), "BucketName"),
    ],
)
def test_what_would_put_an_empty_one_in_their_place_is_refused_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, change: Change, named: str
) -> None:
    storage = Storage(monkeypatch)
    before = storage.template
    with pytest.raises(ValueError, match=f"{named} of (Table|Bucket) .* cannot be changed where it stands"):
        storage.update(change)
    assert storage.holds_everything()
    storage.template = before
    assert storage.update(project("ALL")) == storage.outputs
    assert storage.holds_everything()


def test_a_queue_drawn_under_the_seed_of_a_bucket_keeps_its_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever follows a bucket in a nested stack: its name is the one that it has."""
    url, _ = provisioners._provision_resource("AWS::SQS::Queue", "Queue", {}, "nested")
    seeded = provisioners._NAME_SEED.set("drawn")
    drawn, _ = provisioners._provision_resource("AWS::SQS::Queue", "Queue", {}, "nested")
    provisioners._NAME_SEED.reset(seeded)
    assert drawn != url
    sqs._queues[drawn]["messages"].append("waiting")
    properties = {"VisibilityTimeout": 60}
    kept, _ = provisioners._update_resource("AWS::SQS::Queue", drawn, {}, properties, "nested", "Queue")
    assert (kept, sqs._queues[kept]["messages"]) == (drawn, ["waiting"])
