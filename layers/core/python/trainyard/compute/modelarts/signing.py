"""Huawei Cloud's request signature, SDK-HMAC-SHA256.

https://support.huaweicloud.com/intl/en-us/devg-apisign/api-sign-algorithm.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

ALGORITHM = "SDK-HMAC-SHA256"
DATE_FORMAT = "%Y%m%dT%H%M%SZ"


def signed(
    method: str, url: str, headers: Mapping[str, str], body: bytes, access_key: str, secret_key: str, at: datetime
) -> dict[str, str]:
    """`headers` with `Host`, `X-Sdk-Date` and `Authorization`. Every one of them is part of the signature."""
    known = {name.lower() for name in headers}
    complete = dict(headers)
    if "host" not in known:
        complete["Host"] = urlsplit(url).netloc
    if "x-sdk-date" not in known:
        complete["X-Sdk-Date"] = at.astimezone(UTC).strftime(DATE_FORMAT)
    signature = sign(method, url, complete, body, secret_key)
    names = ";".join(_signed_names(complete))
    complete["Authorization"] = f"{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}"
    return complete


def sign(method: str, url: str, headers: Mapping[str, str], body: bytes, secret_key: str) -> str:
    """The signature over exactly these headers, in hexadecimal."""
    values = {name.lower(): value.strip() for name, value in headers.items()}
    request = canonical_request(method, url, headers, body)
    to_sign = "\n".join([ALGORITHM, values["x-sdk-date"], hashlib.sha256(request.encode()).hexdigest()])
    return hmac.digest(secret_key.encode(), to_sign.encode(), "sha256").hex()


def canonical_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """What is hashed and signed. Its path always ends in a slash, whatever the request's does."""
    parts = urlsplit(url)
    path = quote(unquote(parts.path or "/"), safe="/~")
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    values = {name.lower(): value.strip() for name, value in headers.items()}
    names = _signed_names(headers)
    return "\n".join(
        [
            method.upper(),
            path if path.endswith("/") else f"{path}/",
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query),
            "".join(f"{name}:{values[name]}\n" for name in names),
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )


def _signed_names(headers: Mapping[str, str]) -> list[str]:
    return sorted(name.lower() for name in headers)
