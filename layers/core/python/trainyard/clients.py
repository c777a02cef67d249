"""boto3 clients, made on first use and kept for the life of the process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 20


@cache
def client(service: str, region: str | None = None, tries: int = 3) -> Any:
    """A boto3 client whose every call is bounded: short time limits and few tries. `region`: if not our own."""
    return make_client(service, region, tries)


def make_client(service: str, region: str | None = None, tries: int = 3, session: Session | None = None) -> Any:
    """A new one of these. `session`: with credentials that are not the process's own."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": tries},
        # Presigned addresses must carry the region's own host and SigV4, or browsers are redirected and refused.
        signature_version="s3v4" if service == "s3" else None,
    )
    # The stubs know every service by a literal of its own; here the name is a parameter.
    make: Any = session.client if session else boto3.client
    return make(service, region_name=region, config=config)


def dynamodb() -> DynamoDBClient:
    table: DynamoDBClient = client("dynamodb")
    return table


def s3() -> S3Client:
    objects: S3Client = client("s3")
    return objects


def ssm() -> SSMClient:
    parameters: SSMClient = client("ssm")
    return parameters
