"""What AWS asks for what the stack uses: list prices of us-east-1, free tiers not counted.

The one place for prices; the benchmark's bill of a run and the test of the idle bill read them here.
"""

from __future__ import annotations

from typing import NamedTuple

AS_OF = "2025-01"


class Price(NamedTuple):
    usd: float
    unit: str
    source: str


_M = 1e-6
PRICES = {
    "lambda requests": Price(0.20 * _M, "requests", "https://aws.amazon.com/lambda/pricing/"),
    "lambda time": Price(0.0000166667, "GB-s", "https://aws.amazon.com/lambda/pricing/"),  # x86
    "dynamodb writes": Price(0.625 * _M, "write request units", "https://aws.amazon.com/dynamodb/pricing/on-demand/"),
    "dynamodb reads": Price(0.125 * _M, "read request units", "https://aws.amazon.com/dynamodb/pricing/on-demand/"),
    "s3 writes": Price(5.00 * _M, "PUT, COPY, POST, LIST", "https://aws.amazon.com/s3/pricing/"),
    "s3 reads": Price(0.40 * _M, "GET, HEAD", "https://aws.amazon.com/s3/pricing/"),
    "eventbridge events": Price(1.00 * _M, "events of 64 KB", "https://aws.amazon.com/eventbridge/pricing/"),
    "sqs requests": Price(0.40 * _M, "requests", "https://aws.amazon.com/sqs/pricing/"),
    "http api requests": Price(1.00 * _M, "requests", "https://aws.amazon.com/api-gateway/pricing/"),
    "logs": Price(0.50, "GB taken in", "https://aws.amazon.com/cloudwatch/pricing/"),
    "alarm metrics": Price(0.10, "metrics a month", "https://aws.amazon.com/cloudwatch/pricing/"),
    "image storage": Price(0.10, "GB a month", "https://aws.amazon.com/ecr/pricing/"),
}
