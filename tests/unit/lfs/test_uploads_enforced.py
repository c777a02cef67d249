"""S3's own checks hold for the addresses that are handed out."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from unit.githost.little_stack import make_state, served

from infra.local.githost.s3_gate import S3Gate
from trainyard.store.layout import content_key
from trainyard.store.objects import Objects

CONTENT = b"weights of a model"
OID = hashlib.sha256(CONTENT).hexdigest()
KEY = content_key("ada/model", OID)


@pytest.fixture
def clock() -> list[datetime]:
    """What time the gate believes it is: the last entry, or now."""
    return []


@pytest.fixture
def objects(aws: str, clock: list[datetime]) -> Iterator[Objects]:
    gate = S3Gate(aws, now=lambda: clock[-1] if clock else datetime.now(UTC))
    with served(gate) as address:
        yield make_state(aws, address, f"t{uuid.uuid4().hex[:12]}").objects


def put(address: str, body: bytes, headers: dict[str, str]) -> int:
    return request("PUT", address, body, headers)


def request(method: str, address: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
    try:
        made = urllib.request.Request(address, body, headers or {}, method=method)
        with urllib.request.urlopen(made, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_right_bytes_are_stored(objects: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    assert put(address, CONTENT, headers) == 200
    assert objects.get(KEY) == CONTENT
    assert request("GET", objects.download_address(KEY)) == 200


def test_tampered_bytes_are_refused(objects: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    assert put(address, CONTENT[::-1], headers) == 400
    assert objects.size(KEY) is None


def test_bytes_of_another_length_are_refused(objects: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    assert put(address, CONTENT + b"!", headers) == 403
    assert objects.size(KEY) is None


def test_a_checksum_cannot_be_swapped_or_left_out(objects: Objects) -> None:
    other = CONTENT[::-1]
    _, headers_of_other = objects.upload_address(KEY, len(other), hashlib.sha256(other).hexdigest())
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    assert put(address, other, headers_of_other) == 403
    assert put(address, other, {"Content-Type": headers["Content-Type"]}) == 403
    assert objects.size(KEY) is None


def test_an_address_stores_under_its_own_key_only(objects: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    foreign = address.replace("/lfs/ada/model/", "/lfs/bob/model/")
    assert foreign != address
    assert put(foreign, CONTENT, headers) == 403
    assert request("GET", address) == 403


def test_an_address_ends(objects: Objects, clock: list[datetime]) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID, seconds=60)
    clock.append(datetime.now(UTC) + timedelta(seconds=62))
    assert put(address, CONTENT, headers) == 403
    longer = address.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")
    assert longer != address
    assert put(longer, CONTENT, headers) == 403


def test_nothing_is_stored_or_read_without_a_signature(objects: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    plain = address.partition("?")[0]
    assert put(plain, CONTENT, headers) == 403
    assert request("GET", plain) == 403


def test_headers_that_were_not_signed_are_refused(objects: Objects) -> None:
    address, headers = objects.upload_address(KEY, len(CONTENT), OID)
    assert put(address, CONTENT, {**headers, "x-amz-acl": "public-read"}) == 403
