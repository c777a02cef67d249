"""What AWS asks for what the stack uses: list prices of us-east-1, free tiers not counted.

The one place for prices; the benchmark's bill of a run and the test of the idle bill read them here.
"""

from __future__ import annotations

from typing import NamedTuple

AS_OF = "2025-05"  # the oldest of the pages below


class Price(NamedTuple):
    """`source`: the page that the price was read from; AWS's own lists are tables that scripts fill. `date`: the day or
    month that the page speaks of, where it names one.
    """

    usd: float
    unit: str
    source: str
    date: str = ""


_M = 1e-6
_LAMBDA = "https://appropri8-astro.pages.dev/tutorials/2025/12/02/deploying-simple-api-aws/page/7"
_DYNAMODB = "https://airbyte.com/data-engineering-resources/dynamodb-pricing"
_EVENTBRIDGE = "https://cloudburn.io/blog/amazon-eventbridge-pricing"
_HTTP_API = "https://awsforengineers.com/blog/aws-api-gateway-pricing-explained"
_LOGS = "https://go-cloud.io/aws-api-gateway-pricing"
_S3 = "https://c3x.dev/blog/s3-request-fees-explained"
_SQS = "https://cloudburn.io/blog/amazon-sqs-pricing"
_ALARMS = "https://c3x.dev/resources/aws/aws_cloudwatch_metric_alarm"
_ECR = "https://cloudburn.io/blog/amazon-ecr-pricing"
PRICES = {
    "lambda requests": Price(0.20 * _M, "requests", _LAMBDA, "2025-12-02"),
    "lambda time": Price(0.0000166667, "GB-s", _LAMBDA, "2025-12-02"),  # x86
    "dynamodb writes": Price(0.625 * _M, "write request units", _DYNAMODB, "2025-07-21"),
    "dynamodb reads": Price(0.125 * _M, "read request units", _DYNAMODB, "2025-07-21"),
    "s3 writes": Price(5.00 * _M, "PUT, COPY, POST, LIST", _S3),
    "s3 reads": Price(0.40 * _M, "GET, HEAD", _S3),
    "eventbridge events": Price(1.00 * _M, "events of 64 KB", _EVENTBRIDGE, "2026-03-13"),
    "sqs requests": Price(0.40 * _M, "requests", _SQS, "2026-03-14"),
    "http api requests": Price(1.00 * _M, "requests", _HTTP_API, "2025-05-19"),
    "logs": Price(0.50, "GB taken in", _LOGS, "2026"),
    "alarm metrics": Price(0.10, "metrics a month", _ALARMS),
    "image storage": Price(0.10, "GB a month", _ECR, "2026-03"),
}
