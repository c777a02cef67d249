"""What a run's credentials reach, where IAM is enforced: the role and the session policy together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.emulator.client import Emulator
from infra.local.emulator.state import REGION
from trainyard.model.request import InputFile, PinnedInput, RunRequest
from trainyard.submission.credentials import session_policy

OWN = "own"
OBJECTS = [
    *(("lake", key) for key in ("digits/train/a", "digits/other/b", "secret/c")),
    ("foreign", "digits/train/a"),
    *((OWN, key) for key in ("runs/run-1/code.tar.gz", "runs/run-2/code.tar.gz", "lfs/ada/numbers/x")),
]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator")) as running:
        s3, iam = running.client("s3"), running.client("iam")
        for bucket in {bucket for bucket, _ in OBJECTS}:
            s3.create_bucket(Bucket=bucket)
        for bucket, key in OBJECTS:
            s3.put_object(Bucket=bucket, Key=key, Body=b"1")
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
        iam.create_role(RoleName="run", AssumeRolePolicyDocument=document(trust))
        allow(running, "run", f"{OWN}/lfs/*", f"{OWN}/runs/*")
        yield running


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(emulator: Emulator, name: str, *objects: str) -> None:
    """As RunRole and ReadInputs of `infra/compute.yaml` do."""
    resources = [f"arn:aws:s3:::{each}" for each in objects]
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}
    emulator.client("iam").put_role_policy(RoleName="run", PolicyName=name, PolicyDocument=document(statement))


def readable(emulator: Emulator) -> set[tuple[str, str]]:
    """Which objects a run may read that has one input, from another bucket."""
    file = InputFile(path="a", size=1, key="digits/train/a", bucket="lake", etag='"x"')
    pinned = PinnedInput(argument="data_url", source="s3", is_file=True, files=[file])
    request = RunRequest.model_construct(run_id="run-1", inputs=[pinned])
    given = emulator.client("sts").assume_role(
        RoleArn=emulator.client("iam").get_role(RoleName="run")["Role"]["Arn"],
        RoleSessionName="run-1",
        Policy=session_policy(request, f"arn:aws:s3:::{OWN}"),
    )["Credentials"]
    s3 = boto3.client(
        "s3",
        endpoint_url=emulator.endpoint,
        region_name=REGION,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )

    def is_readable(bucket: str, key: str) -> bool:
        try:
            s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return False
        return True

    return {each for each in OBJECTS if is_readable(*each)}


def test_a_run_reads_its_inputs_of_another_bucket_only_where_the_operator_allows_it(emulator: Emulator) -> None:
    own = {(OWN, "runs/run-1/code.tar.gz")}
    assert readable(emulator) == own
    allow(emulator, "read_inputs", "lake/digits/*")
    assert readable(emulator) == own | {("lake", "digits/train/a")}
