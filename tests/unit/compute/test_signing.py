"""Huawei's signature, against its official vector and its official SDK."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given
from hypothesis import strategies as st

from trainyard.compute.modelarts.signing import canonical_request, signed

AK, SK = "QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"
URL = (
    "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs"
    "?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0"
)
AT = datetime(2019, 11, 15, 3, 36, 55, tzinfo=UTC)
# What a URL's path or query, and a header's value, may hold.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def test_the_official_vector() -> None:
    headers = {"Content-Type": "application/json"}
    done = signed("GET", URL, headers, b"", AK, SK, AT)
    given_headers = {"content-type": "application/json", "host": "service.region.example.com"}
    request = canonical_request("GET", URL, {**given_headers, "x-sdk-date": "20191115T033655Z"}, b"")
    assert (
        hashlib.sha256(request.encode()).hexdigest()
        == "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    )
    assert done["Authorization"] == (
        f"SDK-HMAC-SHA256 Access={AK}, SignedHeaders=content-type;host;x-sdk-date, "
        "Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
    )


@given(
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.lists(TEXT.filter(lambda part: "/" not in part and part not in (".", "..")), min_size=1, max_size=4),
    st.dictionaries(TEXT, TEXT, max_size=4),
    st.dictionaries(st.sampled_from(["X-Project-Id", "X-Security-Token", "X-Language"]), VALUE),
    st.binary(max_size=40),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
)
def test_the_official_sdk_signs_the_same(
    method: str, parts: list[str], query: dict[str, str], headers: dict[str, str], body: bytes, secret: str
) -> None:
    path = "/" + "/".join(quote(part, safe="") for part in parts)
    url = f"https://modelarts.example.com{path}" + (f"?{urlencode(query)}" if query else "")
    headers = {"Content-Type": "application/json", **headers}
    ours = signed(method, url, headers, body, "AK", secret, AT)
    theirs = SdkRequest(
        method=method, schema="https", host="modelarts.example.com", resource_path=path,
        query_params=list(query.items()), header_params={**headers, "X-Sdk-Date": "20191115T033655Z"}, body=body,
    )  # fmt: skip
    Signer(BasicCredentials("AK", secret, "project")).sign(theirs)
    assert ours["Authorization"] == theirs.header_params["Authorization"]
