"""What the stack costs while nobody uses it: a type of resource is free at rest or is listed with its price."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prices import PRICES
from unit.infra.templates import every_resource, properties_of, template

Properties = dict[str, Any]

# Standing there costs nothing. What they hold (rows, objects, log lines) is billed by size, what they do by use.
FREE_AT_REST = {
    "AWS::Athena::WorkGroup",
    "AWS::Batch::ComputeEnvironment",  # without machines: held below
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::Batch::SchedulingPolicy",
    "AWS::CloudFormation::Stack",
    "AWS::DynamoDB::Table",  # on demand: held below
    "AWS::EC2::InternetGateway",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::PlacementGroup",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",  # gateways: held below
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::Glue::Database",  # an account's first million objects
    "AWS::Glue::Table",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",  # silent while all is well: held below
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::LayerVersion",
}

MINUTES = 60 * 24 * 30
IMAGE_GB = 0.15  # compressed, an estimate: a slim base, Python packages, git or uv


# Requests to SQS that cost nothing in any account, every month and for good.
FREE_REQUESTS = 1_000_000
USD_PER_REQUEST = PRICES["sqs requests"].usd
MOST_POLLERS = 5


def _queue(properties: Properties) -> float:
    """A function's queue is polled while it is empty: three long polls a minute by each of Lambda's pollers.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: five of them, "as few as 2" where traffic is
    low, but not where the concurrency has a maximum. Dead letters are polled by nobody.
    """
    return _polls(properties) * USD_PER_REQUEST


def _polls(properties: Properties, pollers: int = 2) -> int:
    """Long polls a month of a function's queue, each of 20 seconds."""
    if "RedrivePolicy" not in properties:
        return 0
    name = properties["QueueName"]["Fn::Sub"].rpartition("-")[2]
    (function,) = [
        each
        for each in properties_of("AWS::Serverless::Function").values()
        if each["FunctionName"]["Fn::Sub"].endswith(f"-{name}")
    ]
    bounded = "ScalingConfig" in function["Events"]["Message"]["Properties"]
    return (MOST_POLLERS if bounded else pollers) * 3 * MINUTES


def _function(properties: Properties) -> float:
    """Only the sweep comes by itself: every ten minutes, for half a second."""
    if "Tick" not in properties.get("Events", {}):
        return 0.0
    time = 0.5 * properties.get("MemorySize", 512) / 1024 * PRICES["lambda time"].usd
    return MINUTES / 10 * (time + PRICES["lambda requests"].usd)


def _alarm(properties: Properties) -> float:
    """By the metrics that it looks at."""
    looked_at = [each for each in properties.get("Metrics", []) if "MetricStat" in each]
    return PRICES["alarm metrics"].usd * max(len(looked_at), 1)


# USD a month.
PRICED: dict[str, Callable[[Properties], float]] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": lambda _: 0.0,  # an account's first three; `Dashboard: false` leaves it out
    "AWS::ECR::Repository": lambda _: (
        2 * IMAGE_GB * PRICES["image storage"].usd
    ),  # the present image and the one before
    "AWS::SQS::Queue": _queue,
    "AWS::Serverless::Function": _function,
}


def bill(*, alarms: bool) -> dict[str, float]:
    """Type of resource -> USD a month of all of them."""
    total: dict[str, float] = {}
    for _, _, each in every_resource():
        if each["Type"] in PRICED and (alarms or each.get("Condition") != "HasAlarms"):
            price = PRICED[each["Type"]](each.get("Properties", {}))
            total[each["Type"]] = total.get(each["Type"], 0.0) + price
    return total


@pytest.mark.parametrize(
    ("path", "name", "kind"), [(path.name, name, each["Type"]) for path, name, each in every_resource()]
)
def test_every_resource_is_free_at_rest_or_has_a_price(path: str, name: str, kind: str) -> None:
    assert kind in FREE_AT_REST or kind in PRICED, f"{path}: {name} is a {kind}; say here what it costs while idle"


def test_the_idle_bill_is_below_one_dollar() -> None:
    assert sum(bill(alarms=False).values()) < 1.00


def test_the_idle_bill_where_lambda_never_polls_less() -> None:
    """Nobody promises the two pollers: with five everywhere it is this, less the requests that are free."""
    polls = sum(_polls(queue, MOST_POLLERS) for queue in properties_of("AWS::SQS::Queue").values())
    rest = sum(price for kind, price in bill(alarms=False).items() if kind != "AWS::SQS::Queue")
    assert rest + max(polls - FREE_REQUESTS, 0) * USD_PER_REQUEST < 1.60


def test_alarms_cost_at_most_one_dollar_more() -> None:
    # Ten of them are free in every account, for good.
    more = bill(alarms=True)["AWS::CloudWatch::Alarm"]
    assert 0 < round(more / PRICES["alarm metrics"].usd) <= 10


def test_no_machine_is_kept() -> None:
    environments = [
        each["Properties"] for _, _, each in every_resource() if each["Type"] == "AWS::Batch::ComputeEnvironment"
    ]
    assert environments
    for each in environments:
        assert each["ComputeResources"]["MinvCpus"] == 0
        assert "DesiredvCpus" not in each["ComputeResources"]


def test_nothing_is_kept_warm() -> None:
    for _, name, each in every_resource():
        properties = each.get("Properties", {})
        assert "ProvisionedConcurrencyConfig" not in properties, name
        assert "SnapStart" not in properties, name  # Python's is billed for the cached image
        for event in properties.get("Events", {}).values() if each["Type"] == "AWS::Serverless::Function" else ():
            assert "ProvisionedPollerConfig" not in event["Properties"], name


def test_network_endpoints_are_gateways() -> None:
    for _, name, each in every_resource():
        if each["Type"] == "AWS::EC2::VPCEndpoint":
            assert each["Properties"]["VpcEndpointType"] == "Gateway", name


def test_tables_are_on_demand() -> None:
    for _, name, each in every_resource():
        if each["Type"] == "AWS::DynamoDB::Table":
            assert each["Properties"]["BillingMode"] == "PAY_PER_REQUEST", name


def test_own_metrics_are_not_sent_while_there_is_nothing_to_say() -> None:
    for _, name, each in every_resource():
        if each["Type"] == "AWS::Logs::MetricFilter":
            for metric in each["Properties"]["MetricTransformations"]:
                assert "DefaultValue" not in metric, name


def test_no_key_of_our_own() -> None:
    # One dollar a month each; the keys that AWS owns encrypt without.
    assert not [name for _, name, each in every_resource() if each["Type"].startswith("AWS::KMS::")]
    assert template()["Resources"]
