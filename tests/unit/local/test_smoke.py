"""The smoke test for real accounts against the embedded one: what it does, what it leaves, what it refuses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from modelarts_fixture import AK, PROJECT, SK
from moto.server import ThreadedMotoServer
from smoke import modelarts as smoke

from infra.local.modelarts.container import ObsContainer
from infra.local.modelarts.faults import Kind
from infra.local.modelarts.server import ModelArtsServer


class Account:
    """An account at the embedded Huawei Cloud."""

    def __init__(self, server: ModelArtsServer, obs: Any, endpoint: str) -> None:
        self.server, self.obs, self.said = server, obs, list[str]()
        self.environment = {
            "HUAWEI_AK": AK, "HUAWEI_SK": SK, "HUAWEI_PROJECT_ID": PROJECT, "HUAWEI_REGION": "cn-north-4",
            "HUAWEI_OBS_BUCKET": "obs-bucket", "HUAWEI_MODELARTS_ENDPOINT": server.endpoint,
            "HUAWEI_OBS_ENDPOINT": endpoint, smoke.CONSENT: "yes",
        }  # fmt: skip

    def smoke(self, **changes: str) -> int:
        return smoke.main({**self.environment, **changes}, self.said.append, poll_seconds=0.02)

    def left(self) -> list[str]:
        jobs = [job.body["metadata"]["name"] for job in self.server.jobs.named_like("run-")]
        return jobs + [entry["Key"] for entry in self.obs.list_objects_v2(Bucket="obs-bucket").get("Contents", [])]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    obs = boto3.client(
        "s3", endpoint_url=endpoint, region_name="cn-north-4", aws_access_key_id=AK, aws_secret_access_key=SK
    )
    obs.create_bucket(Bucket="obs-bucket", CreateBucketConfiguration={"LocationConstraint": "cn-north-4"})

    def make(body: dict[str, Any], job_id: str) -> ObsContainer:
        return ObsContainer(body, job_id, obs, tmp_path, sys.executable)

    with ModelArtsServer(make, keys={AK: SK}, project=PROJECT, beat=0.02) as server:
        made = Account(server, obs, endpoint)
        yield made
        for entry in obs.list_objects_v2(Bucket="obs-bucket").get("Contents", []):
            obs.delete_object(Bucket="obs-bucket", Key=entry["Key"])
        obs.delete_bucket(Bucket="obs-bucket")
    moto.stop()


def test_a_run_goes_there_and_home_and_leaves_nothing(account: Account) -> None:
    assert account.smoke(HUAWEI_PRICE_PER_HOUR="12") == 0, account.said
    assert "at most 5 minutes of the machine (1.00 at 12 an hour)" in account.said[0]
    assert "ModelArts says: Completed" in account.said
    assert account.left() == []


@pytest.mark.parametrize(
    "missing", ["HUAWEI_AK", "HUAWEI_SK", "HUAWEI_PROJECT_ID", "HUAWEI_REGION", "HUAWEI_OBS_BUCKET"]
)
def test_it_refuses_and_says_what_to_set(account: Account, missing: str) -> None:
    assert account.smoke(**{missing: ""}) == 2
    assert account.said[0].startswith(f"Set {missing} in the environment.")
    assert account.server.requests == []


def test_without_consent_it_only_says_what_it_would_cost(account: Account) -> None:
    assert account.smoke(**{smoke.CONSENT: ""}) == 2
    assert "unknown" in account.said[0]
    assert smoke.CONSENT in account.said[1]
    assert "create" not in [name for name, _ in account.server.requests]


def test_a_run_that_does_not_end_is_stopped_and_removed(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_SCRIPT", "import time; time.sleep(120)")
    assert account.smoke(HUAWEI_SMOKE_MINUTES="0.02") == 1
    assert "had not ended after" in account.said[-1]
    assert account.left() == []


def test_a_run_that_fails_is_told_and_removed(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_SCRIPT", "raise ValueError('no card')")
    assert account.smoke() == 1
    assert "no card" in account.said[-1]
    assert account.left() == []


def test_what_could_not_be_removed_is_named(account: Account) -> None:
    account.server.faults.inject("delete", Kind.BROKEN, 9)
    assert account.smoke() == 1
    assert "delete it in ModelArts' console" in account.said[-1]


def test_an_account_without_what_the_catalogue_has(account: Account) -> None:
    assert account.smoke(HUAWEI_FLAVOR="ascend-of-tomorrow") == 2
    assert "trainyard ascend catalog --write" in account.said[0]
