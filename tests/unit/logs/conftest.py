"""A bucket on moto, and a runner's way of writing a log into it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import pytest

from trainyard.store import layout
from trainyard.store.objects import Objects

RUN = "run-0123456789abcdefghjkmn"


# Not for the whole session: moto clears its memory only when the outermost mock begins.
@pytest.fixture(scope="module")
def bucket() -> Iterator[Objects]:
    import boto3
    from moto import mock_aws

    with mock_aws():
        client = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        client.create_bucket(Bucket="artifacts")
        yield Objects("artifacts", client)


@pytest.fixture
def objects(bucket: Objects) -> Objects:
    bucket.delete_prefix("runs/")
    return bucket


@pytest.fixture
def calls(objects: Objects) -> list[str]:
    """Every call that reaches S3, by its operation."""
    made: list[str] = []
    objects._s3.meta.events.register("before-call.s3", lambda model, **_: made.append(model.name))
    return made


Ship = Callable[..., None]


@pytest.fixture
def ship(objects: Objects) -> Ship:
    """`ship(log, sizes, attempt)`: the log cut into chunks of those sizes, the last size repeating."""

    def _ship(log: bytes, size: int = 100, attempt: int = 1, run_id: str = RUN) -> None:
        for offset in range(0, len(log), size):
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            member = packer.compress(log[offset : offset + size]) + packer.flush()
            objects.put(layout.log_chunk_key(run_id, attempt, offset), member)

    return _ship
