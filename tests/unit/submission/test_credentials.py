"""What a job's token is good for. AWS's part is played by the emulator with its IAM enforcement on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from builders import NOW, a_run

from infra.local.emulator.client import Emulator
from trainyard.model import lifecycle
from trainyard.model.errors import Conflict, Unauthenticated
from trainyard.model.image import PinnedImage
from trainyard.model.request import InputFile, PinnedInput, RunRequest
from trainyard.model.run import RunState
from trainyard.store import State, layout
from trainyard.store.objects import Objects
from trainyard.submission.credentials import (
    MAX_POLICY_CHARACTERS,
    JobCredentials,
    issue_credentials,
    new_job_token,
    session_policy,
)

RUN, OTHER = "run-1", "run-2"
BUCKET = "arn:aws:s3:::runs"
REFUSED = re.compile(r"AccessDenied|403|Forbidden")


def a_request(*keys: str, run_id: str = RUN) -> RunRequest:
    files = [InputFile(path=f"f{n}", size=1, sha256="0" * 64, key=key) for n, key in enumerate(keys)]
    return RunRequest(
        run_id=run_id,
        name="lenet5",
        project="demo/lenet5",
        commit="a" * 40,
        spec=a_run().spec,
        code_key=layout.code_key(run_id),
        inputs=[PinnedInput(argument="data_url", source="", is_file=False, files=files)] if files else [],
    )


DIGITS = layout.content_key("demo/digits", "ab" * 32)
SECRET_DATA = layout.content_key("demo/secret", "cd" * 32)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def role(cloud: Emulator) -> str:
    """A role that may do in the bucket all that any run may, as the template has it, and more."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": [BUCKET, f"{BUCKET}/*"]}
    iam: Any = cloud.client("iam")
    try:
        return str(iam.get_role(RoleName="run")["Role"]["Arn"])
    except ClientError:
        arn = iam.create_role(RoleName="run", AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="run", PolicyName="run", PolicyDocument=_document(allowed))
        cloud.client("s3").create_bucket(Bucket="runs")
        return str(arn)


@pytest.fixture
def yard(state: State, cloud: Emulator, role: str) -> State:
    """A queued run whose job has the token `secret`, in a bucket of the emulator."""
    objects = Objects("runs", cloud.client("s3"))
    for key in (DIGITS, SECRET_DATA, "runs/run-2/output/x", "runs/run-1/code.tar.gz"):
        objects.put(key, b"x")
    objects.put(layout.request_key(RUN), a_request(DIGITS).model_dump_json().encode())
    return State(state.table, objects, state.secrets, state.bus)


def _document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _started(state: State, run_state: RunState = RunState.RUNNING) -> str:
    secret, digest = new_job_token()
    state.table.create_run(a_run(RUN, state=run_state, job_tokens=[digest]))
    return secret


def _issue(yard: State, cloud: Emulator, role: str, secret: str) -> JobCredentials:
    return issue_credentials(yard, RUN, f"Bearer {secret}", role, cloud.client("sts"))


def test_credentials_reach_the_run_and_its_inputs_and_nothing_else(yard: State, cloud: Emulator, role: str) -> None:
    given = _issue(yard, cloud, role, _started(yard))
    mine = _objects(cloud, given)
    assert mine.get(DIGITS) == b"x"
    assert mine.get("runs/run-1/code.tar.gz") == b"x"
    mine.put(layout.log_chunk_key(RUN, 1, 0), b"log")
    mine.put(layout.output_prefix(RUN) + "a.ckpt", b"a")
    assert [each.key for each in mine.find(layout.output_prefix(RUN))] == ["runs/run-1/output/a.ckpt"]
    mine.delete_prefix(layout.output_prefix(RUN))
    for key in (SECRET_DATA, "runs/run-2/output/x"):
        with pytest.raises(ClientError, match=REFUSED):
            mine.get(key)
    for key in ("runs/run-2/output/x", layout.request_key(RUN), layout.evaluation_key(RUN), DIGITS, "x"):
        with pytest.raises(ClientError, match=REFUSED):
            mine.put(key, b"mine")
    for prefix in ("runs/", "lfs/", ""):
        with pytest.raises(ClientError, match=REFUSED):
            list(mine.find(prefix))


def _objects(cloud: Emulator, given: JobCredentials) -> Objects:
    import boto3

    session = boto3.Session(
        aws_access_key_id=given.access_key_id,
        aws_secret_access_key=given.secret_access_key,
        aws_session_token=given.session_token,
        region_name="us-east-1",
    )
    return Objects("runs", session.client("s3", endpoint_url=cloud.endpoint))


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Bearer tyj_wrong", "Basic {secret}", "{secret}"])
def test_no_credentials_without_the_jobs_own_token(yard: State, header: str | None) -> None:
    secret = _started(yard)
    with pytest.raises(Unauthenticated):
        issue_credentials(yard, RUN, header and header.format(secret=secret), "arn:aws:iam::0:role/run")


def test_no_credentials_for_another_run(yard: State) -> None:
    secret = _started(yard)
    yard.table.create_run(a_run(OTHER, state=RunState.RUNNING, job_tokens=[new_job_token()[1]]))
    with pytest.raises(Unauthenticated):
        issue_credentials(yard, OTHER, f"Bearer {secret}", "arn:aws:iam::0:role/run")


@pytest.mark.parametrize("ended", [state for state in RunState if state.is_final])
def test_no_credentials_once_the_run_has_ended(yard: State, ended: RunState) -> None:
    secret = _started(yard, ended)
    with pytest.raises(Unauthenticated):
        issue_credentials(yard, RUN, f"Bearer {secret}", "arn:aws:iam::0:role/run")


def test_a_job_of_an_earlier_claim_keeps_its_token() -> None:
    run = a_run(RUN, state=RunState.ADMITTED)
    run = lifecycle.claim_submission(run, "one", NOW, NOW - NOW, "digest of the first")
    run = lifecycle.claim_submission(run, "two", NOW, NOW - NOW, "digest of the second")
    assert run.job_tokens == ["digest of the first", "digest of the second"]


def test_policies_stay_within_the_limit_of_aws() -> None:
    some = a_request(*[layout.content_key(f"demo/data-{n:03}", "ab" * 32) for n in range(10)])
    assert f"{BUCKET}/lfs/demo/data-009/*" in session_policy(some, BUCKET)
    many = session_policy(a_request(*[layout.content_key(f"demo/data-{n:03}", "ab" * 32) for n in range(50)]), BUCKET)
    assert len(many) <= MAX_POLICY_CHARACTERS
    assert f"{BUCKET}/lfs/demo/*" in many
    with pytest.raises(Conflict):
        session_policy(a_request(*[layout.content_key(f"owner-{n:030}/d", "ab" * 32) for n in range(50)]), BUCKET)


def test_another_runs_output_is_an_input_by_that_run_alone() -> None:
    policy = session_policy(a_request(layout.output_prefix(OTHER) + "a.ckpt"), BUCKET)
    assert json.loads(policy)["Statement"][0]["Resource"] == [f"{BUCKET}/runs/run-1/*", f"{BUCKET}/runs/run-2/output/*"]


def test_inputs_of_other_buckets_are_reached_where_they_lie() -> None:
    files = [
        InputFile(path=key, size=1, sha256="0" * 64, key=f"digits/train/{key}", bucket="public-data")
        for key in ("x-images", "x-labels")
    ]
    request = a_request()
    request.inputs = [PinnedInput(argument="data_url", source="s3", is_file=False, files=files)]
    reads = json.loads(session_policy(request, BUCKET))["Statement"][0]["Resource"]
    assert reads == [f"{BUCKET}/runs/run-1/*", "arn:aws:s3:::public-data/digits/train/*"]


@pytest.mark.parametrize(
    ("reference", "reaches"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/train", "ecr:eu-west-1:123456789012:repository/team/train"),
        ("ghcr.io/team/train", None),
    ],
)
def test_of_private_images_a_run_reaches_its_own(reference: str, reaches: str | None) -> None:
    digest = "sha256:" + "0" * 64
    image = PinnedImage(reference=f"{reference}:v1@{digest}", manifest=digest, layers=[])
    request = a_request(DIGITS).model_copy(update={"image": image})
    statements = json.loads(session_policy(request, BUCKET))["Statement"]
    found = [one["Resource"] for one in statements if one["Action"] == "ecr:GetDownloadUrlForLayer"]
    assert found == ([f"arn:aws:{reaches}"] if reaches else [])
