"""What the stack costs while nobody uses it: every type of resource is either free at rest or listed with its price."""

from __future__ import annotations

import pytest
from unit.infra.templates import every_resource

# Nothing is billed for their being there.
FREE_AT_REST = {
    "AWS::Batch::ComputeEnvironment",  # of machines: none, see below
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::Batch::SchedulingPolicy",
    "AWS::CloudFormation::Stack",
    "AWS::DynamoDB::Table",  # on demand; storage is a matter of data, not of standing there
    "AWS::EC2::InternetGateway",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",  # of type Gateway, see below
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",  # whose metrics have no default value, see below
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::LayerVersion",
}
# USD per month, list price in us-east-1, no free tier counted.
PRICED = {
    # 0.10 for each metric that an alarm looks at.
    "AWS::CloudWatch::Alarm": lambda properties: (
        0.10 * len([m for m in properties.get("Metrics", [0]) if m == 0 or "MetricStat" in m])
    ),
    # 0.10 per GB: two images of 150 MB, compressed, are kept in each repository.
    "AWS::ECR::Repository": lambda _: 0.10 * 0.15 * 2,
    # An account's first three cost nothing; a parameter turns ours off.
    "AWS::CloudWatch::Dashboard": lambda _: 0.0,
    # Long polling by the event source: 5 pollers x 3 receives a minute x 43,200 minutes at 0.40 per million, for each
    # queue that a function reads (those with a dead-letter queue); a queue that nothing reads costs nothing.
    "AWS::SQS::Queue": lambda properties: 5 * 3 * 43_200 * 0.40e-6 if "RedrivePolicy" in properties else 0.0,
    # Called by nobody, a function costs nothing; the sweep comes 4,320 times a month for 0.3 s of 0.5 GB.
    "AWS::Serverless::Function": lambda properties: (
        (4320 * (0.3 * 0.5 * 0.0000166667 + 0.0000002)) if "Tick" in properties.get("Events", {}) else 0.0
    ),
}

# What is seen today; the aim is below 1, and what is in the way is the polling of seven queues.
MOST_PER_MONTH = 2.6


def test_nothing_is_billed_for_being_there() -> None:
    known = FREE_AT_REST | set(PRICED)
    unknown = sorted({each["Type"] for _, _, each in every_resource()} - known)
    assert unknown == [], "say whether it costs anything while nobody uses it"


def test_the_idle_bill_is_small() -> None:
    bill = sum(
        PRICED[each["Type"]](each.get("Properties", {})) for _, _, each in every_resource() if each["Type"] in PRICED
    )
    assert 0 < bill < MOST_PER_MONTH


def test_machines_scale_to_none_and_endpoints_are_gateways() -> None:
    for path, name, each in every_resource():
        properties = each.get("Properties", {})
        if each["Type"] == "AWS::Batch::ComputeEnvironment":
            assert properties["ComputeResources"].get("MinvCpus", 0) == 0, f"{path.name}:{name}"
        if each["Type"] == "AWS::EC2::VPCEndpoint":
            assert properties.get("VpcEndpointType", "Gateway") == "Gateway", f"{path.name}:{name}"
        if each["Type"] == "AWS::Serverless::Function":
            assert "ProvisionedConcurrencyConfig" not in properties, f"{path.name}:{name}"


@pytest.mark.parametrize("kind", ["AWS::EC2::NatGateway", "AWS::RDS::DBInstance", "AWS::EC2::EIP", "AWS::KMS::Key"])
def test_what_is_billed_by_the_hour_or_month_is_on_no_list(kind: str) -> None:
    assert kind not in FREE_AT_REST | set(PRICED)
