"""What the stack costs while nobody uses it: every type of resource is either free at rest or listed with its price."""

from __future__ import annotations

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
    # queue that a function reads; a queue that nothing reads costs nothing.
    "AWS::SQS::Queue": lambda properties: 0.0 if "RedrivePolicy" not in properties else 0.0,
    # Called by nobody, a function costs nothing; the sweep comes 4,320 times a month for 0.3 s of 0.5 GB.
    "AWS::Serverless::Function": lambda properties: (
        (4320 * (0.3 * 0.5 * 0.0000166667 + 0.0000002)) if "Tick" in properties.get("Events", {}) else 0.0
    ),
}
