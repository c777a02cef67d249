"""What many rooms' tests stand on: an AWS in memory with the table and bucket that `infra/storage.yaml` describes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from moto import mock_aws

from trainyard import clients
from trainyard.store import State
from trainyard.store.bus import Bus
from trainyard.store.objects import Objects
from trainyard.store.secrets import Secrets
from trainyard.store.table import Table

# How long an example takes depends on what else the machine does; that is for `make bench`.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parents[1]
REGION = "us-east-1"
collect_ignore = ["data"]  # some of it looks like tests


@pytest.hookimpl(tryfirst=True)  # before xdist makes names of the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests stay together where `pytest -n` gives them to several processes, and in which order all are begun.

    A file stays whole for the sake of its fixtures; so do all files on the one embedded stack. They mostly wait: begun
    first, they take their time beside everything else.
    """
    for item in items:
        together = "stack" if _is_on_the_stack(item) else item.path.relative_to(ROOT).as_posix()
        item.add_marker(pytest.mark.xdist_group(together))
    items.sort(key=lambda item: (not _is_on_the_stack(item), item.get_closest_marker("e2e") is None))


def _is_on_the_stack(item: pytest.Item) -> bool:
    return item.path.parent == ROOT / "tests" / "e2e" and "stack" in getattr(item, "fixturenames", ())


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a test may ever reach a real account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BATCH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def kept_session() -> Any:
    """A session and its clients cost some 100 ms to make, an empty AWS in memory 5: only the first are kept."""
    import boto3

    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


@pytest.fixture(scope="session")
def kept_client(kept_session: Any) -> Any:
    """`trainyard.clients.client` for every test on moto. Not its own cache: others may hold clients of real servers."""
    return cache(clients.client.__wrapped__)


@pytest.fixture
def aws(aws_credentials: None, kept_session: Any, kept_client: Any) -> Iterator[None]:
    """Moto's AWS, in this process, empty at the beginning of each test."""
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("boto3.DEFAULT_SESSION", kept_session)
        patch.setattr(clients, "client", kept_client)
        yield


@pytest.fixture
def state(aws: None) -> State:
    return fresh_state()


def fresh_state() -> State:
    """State on a fresh table, bucket and bus."""
    from trainyard.logs.viewers import forget

    forget()
    clients.client("dynamodb").create_table(TableName="trainyard", **table_properties())
    clients.client("s3").create_bucket(Bucket="trainyard")
    clients.client("events").create_event_bus(Name="trainyard")
    return State(Table("trainyard"), Objects("trainyard"), Secrets("/trainyard"), Bus("trainyard"))


@cache
def table_properties() -> dict[str, Any]:
    """The table as the real template has it, in the words of CreateTable."""
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse((ROOT / "infra/storage.yaml").read_text())
    properties = dict(template["Resources"]["Table"]["Properties"])
    wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    stream = {"StreamEnabled": True, **properties["StreamSpecification"]}
    return {**{name: properties[name] for name in wanted}, "StreamSpecification": stream}
