"""Whether a request is signed, as the official SDK's own signer would have signed it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote, urlsplit

_AUTHORIZATION = re.compile(r"SDK-HMAC-SHA256 Access=(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})")
_MOST_SKEW = timedelta(minutes=15)
_NEEDED = {"host", "x-sdk-date"}


def refusal(
    method: str, target: str, headers: Mapping[str, str], body: bytes, keys: Mapping[str, str], now: datetime
) -> str | None:
    """Why the gateway would refuse it, in its words; None if the signature is good. `keys`: access key -> secret."""
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdkcore.sdk_request import SdkRequest
    from huaweicloudsdkcore.signer.signer import Signer

    found = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    if found is None:
        return "Incorrect IAM authentication information: no signature"
    access_key, names = found[1], found[2].split(";")
    if access_key not in keys:
        return "Incorrect IAM authentication information: unknown access key"
    given = {name.lower(): value for name, value in headers.items()}
    if not set(names) >= _NEEDED or any(name not in given for name in names):
        return "Incorrect IAM authentication information: a header is not signed"
    try:
        signed_at = datetime.strptime(given["x-sdk-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "Incorrect IAM authentication information: x-sdk-date is no date"
    if abs(signed_at - now) > _MOST_SKEW:
        return "Incorrect IAM authentication information: the signature has expired"
    parts = urlsplit(target)
    request = SdkRequest(
        method=method,
        schema="https",
        host=given["host"],
        resource_path=unquote(parts.path),
        query_params=parse_qsl(parts.query, keep_blank_values=True),
        # The signer takes the type of the content from the name that it is usually spelled with.
        header_params={("Content-Type" if name == "content-type" else name): given[name] for name in names},
        body=body or None,
    )
    Signer(BasicCredentials(access_key, keys[access_key], "unused")).sign(request)
    own = request.header_params["Authorization"]
    return None if own.endswith(found[3]) else "Incorrect IAM authentication information: verify aksk signature fail"
