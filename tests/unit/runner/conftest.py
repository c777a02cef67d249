from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from unit.runner.rig import BUCKET, Rig

from trainyard.store.objects import Objects


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def kept_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests, as a host keeps one: environments are built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def rig(bucket_server: str, kept_cache: Path, tmp_path: Path) -> Rig:
    client = boto3.client(
        "s3",
        endpoint_url=bucket_server,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket=BUCKET)
    objects = Objects(BUCKET, client)
    objects.delete_prefix("runs/")
    return Rig(objects, kept_cache, bucket_server, tmp_path)
