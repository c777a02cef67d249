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
WITHOUT_STACK = "tests/e2e/test_training_examples.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What mostly waits, and takes longest, begins first: where there are several processes, the others run beside it."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where there are several processes (`pytest -n`), a file stays in one, and so do all files on the one stack."""
    from xdist.scheduler import LoadFileScheduling

    class WholeFilesAndTheStack(LoadFileScheduling):
        # Not by xdist's groups: xdist 3.8 writes them into the tests' names, which pytest 9.2 ignores.
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "stack" if file.startswith("tests/e2e/") and file != WITHOUT_STACK else file

    return WholeFilesAndTheStack(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was tried by tests that find by themselves what to try (`record_property("tried", ...)`)."""
    told = [
        value for one in terminalreporter.getreports("passed") for name, value in one.user_properties if name == "tried"
    ]
    if told:
        terminalreporter.section("tried")
    for line in told:
        terminalreporter.write_line(str(line))


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
