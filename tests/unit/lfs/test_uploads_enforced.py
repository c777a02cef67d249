"""S3's own checks hold for the addresses that are handed out.

The embedded S3 makes them itself, for the session of a role, as a function has it; these tests hold it to them.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from unit.githost.little_stack import client
from unit.lfs.presigned import changed, parameters, put, request

from infra.local.emulator.state import REGION
from trainyard.store.layout import content_key
from trainyard.store.objects import Objects

CONTENT = b"weights of a model"
OTHER = CONTENT[::-1]
OID = hashlib.sha256(CONTENT).hexdigest()
OTHER_OID = hashlib.sha256(OTHER).hexdigest()
KEY = content_key("ada/model", OID)
FOREIGN_KEY = content_key("bob/model", OID)


@pytest.fixture(scope="module")
def bucket(aws: str) -> Objects:
    """The bucket as its owner sees it."""
    name = f"t{uuid.uuid4().hex[:12]}"
    client("s3", aws).create_bucket(Bucket=name)
    return Objects(name, client("s3", aws))


@pytest.fixture(scope="module")
def objects(aws: str, bucket: Objects) -> Objects:
    """The bucket as `serve_lfs` sees it."""
    return as_role(aws, bucket.bucket, "serve_lfs", f"arn:aws:s3:::{bucket.bucket}/lfs/*")


@pytest.fixture(autouse=True)
def empty(bucket: Objects) -> None:
    bucket.delete_prefix("lfs/")


def as_role(aws: str, bucket: str, name: str, reach: str) -> Objects:
    """The bucket with the session of a new role that may read and write `reach`."""
    iam, role = client("iam", aws), f"{bucket}-{name}"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": reach}
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document(allowed))
    given = client("sts", aws).assume_role(RoleArn=made, RoleSessionName=name)["Credentials"]
    s3 = boto3.client(
        "s3",
        endpoint_url=aws,
        region_name=REGION,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(signature_version="s3v4"),
    )
    return Objects(bucket, s3)


def document(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_the_right_bytes_are_stored(objects: Objects, bucket: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    assert put(address, CONTENT, headers) == 200
    assert bucket.get(KEY) == CONTENT
    assert request("GET", objects.download_address(KEY)) == 200


def test_tampered_and_swapped_bytes_are_refused(objects: Objects, bucket: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    of_other, headers_of_other = objects.upload_address(content_key("ada/model", OTHER_OID), len(OTHER), OTHER_OID)
    assert put(address, OTHER, headers) == 400
    assert put(of_other, CONTENT, headers_of_other) == 400
    assert put(address, CONTENT + b"!", headers) == 403
    assert list(bucket.find("lfs/")) == []


def test_a_checksum_cannot_be_swapped_or_left_out(objects: Objects, bucket: Objects) -> None:
    _, headers_of_other = objects.upload_address(KEY, len(OTHER), OTHER_OID)
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    assert put(address, OTHER, headers_of_other) == 403
    assert put(address, OTHER, {"Content-Type": headers["Content-Type"]}) == 403
    assert bucket.size(KEY) is None


def test_an_address_is_good_for_its_own_key_and_method_only(objects: Objects, bucket: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    foreign = address.replace(KEY, FOREIGN_KEY)
    assert foreign != address
    assert put(foreign, CONTENT, headers) == 403
    assert request("GET", address) == 403
    bucket.put(FOREIGN_KEY, CONTENT)
    bucket.put(KEY, CONTENT)
    download = objects.download_address(KEY)
    assert request("GET", download) == 200
    assert request("GET", download.replace(KEY, FOREIGN_KEY)) == 403
    assert put(download, OTHER, headers) == 403
    assert request("DELETE", download) == 403
    assert bucket.get(KEY) == CONTENT


@pytest.mark.parametrize("name", ["X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"])
def test_no_part_of_an_address_can_be_changed_or_left_out(objects: Objects, bucket: Objects, name: str) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    other = objects.upload_address(KEY, len(OTHER), OTHER_OID, seconds=800)[0]
    values = {
        "X-Amz-Signature": parameters(other)["X-Amz-Signature"],
        "X-Amz-Date": (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y%m%dT%H%M%SZ"),
        "X-Amz-Expires": "100000",
        "X-Amz-SignedHeaders": "host",
    }
    for altered in (changed(address, name, values[name]), changed(address, name, None)):
        assert altered != address
        assert put(altered, CONTENT, headers) in {400, 403}
    for added in ("versionId=1", "x-amz-acl=public-read", "acl", "uploadId=1&partNumber=1"):
        assert put(f"{address}&{added}", CONTENT, headers) == 403
    assert bucket.size(KEY) is None


def test_an_address_ends(objects: Objects, bucket: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID, seconds=1)
    time.sleep(2.1)  # the address names whole seconds
    assert put(address, CONTENT, headers) == 403
    assert put(changed(address, "X-Amz-Expires", "6000"), CONTENT, headers) == 403
    assert bucket.size(KEY) is None


def test_nothing_is_stored_or_read_without_a_signature(objects: Objects, bucket: Objects) -> None:
    bucket.put(FOREIGN_KEY, CONTENT)
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    plain = address.partition("?")[0]
    assert put(plain, CONTENT, headers) == 403
    assert request("GET", plain.replace(KEY, FOREIGN_KEY)) == 403
    assert bucket.size(KEY) is None


def test_keys_of_others_sign_nothing(aws: str, objects: Objects, bucket: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    elsewhere = as_role(aws, bucket.bucket, "elsewhere", f"arn:aws:s3:::{bucket.bucket}/runs/*")
    theirs, _ = elsewhere.upload_address(KEY, len(CONTENT), OID)
    assert put(theirs, CONTENT, headers) == 403  # a right signature, of a role that may not
    query = parameters(theirs)
    assert put(changed(address, "X-Amz-Credential", query["X-Amz-Credential"]), CONTENT, headers) in {400, 403}
    assert put(changed(address, "X-Amz-Security-Token", query["X-Amz-Security-Token"]), CONTENT, headers) in {400, 403}
    nobody = "AKIAIOSFODNN7EXAMPLE" + parameters(address)["X-Amz-Credential"][20:]
    assert put(changed(address, "X-Amz-Credential", nobody), CONTENT, headers) == 403
    assert bucket.size(KEY) is None


@pytest.mark.parametrize("name", ["x-amz-acl", "x-amz-tagging", "x-amz-meta-note", "x-amz-storage-class"])
def test_headers_that_were_not_signed_are_refused(objects: Objects, bucket: Objects, name: str) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    assert put(address, CONTENT, {**headers, name: "public-read"}) == 403
    assert bucket.size(KEY) is None
