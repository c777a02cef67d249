"""How many AWS API calls were made, by which function, of which service and operation.

Benchmarks turn the counts into cost, the policy test into the permissions that a function really needs.
What AWS does by itself (a poller that reads a queue, a rule that sends to one) does not pass here and is not counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from threading import Lock
from typing import NamedTuple
from urllib.parse import parse_qs

_CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/[^/]*/([^/]+)/aws4_request")
_APPLICATION = re.compile(r"(?:^|\s)app/(\S+)")
_OUTSIDE = "(outside)"


class Call(NamedTuple):
    """One kind of call; `caller` is the function's logical id, or "(outside)" for whoever is no function."""

    caller: str
    service: str
    operation: str


class CallCounter:
    """Counts calls; safe to use from several threads."""

    def __init__(self) -> None:
        self._counts: Counter[Call] = Counter()
        self._lock = Lock()

    def add(self, call: Call) -> None:
        with self._lock:
            self._counts[call] += 1

    def reset(self) -> None:
        with self._lock:
            self._counts.clear()

    def report(self) -> list[dict[str, str | int]]:
        """`[{"caller", "service", "operation", "count"}]`, sorted."""
        with self._lock:
            return [{**call._asdict(), "count": count} for call, count in sorted(self._counts.items())]


def identify(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Call | None:
    """Which call a request is; None where it is not a signed AWS request (a page, a webhook)."""
    parameters = parse_qs(query, keep_blank_values=True)
    credential = headers.get("authorization", "") or "Credential=" + parameters.get("X-Amz-Credential", [""])[0]
    scope = _CREDENTIAL.search(credential)
    if scope is None:
        return None
    service = scope[1]
    application = _APPLICATION.search(headers.get("user-agent", ""))
    return Call(
        caller=application[1] if application else _OUTSIDE,
        service=service,
        operation=_operation(service, method, path, parameters, headers, body),
    )


def _operation(
    service: str, method: str, path: str, parameters: dict[str, list[str]], headers: Mapping[str, str], body: bytes
) -> str:
    if target := headers.get("x-amz-target"):  # the JSON protocols
        return target.rpartition(".")[2]
    if is_form(headers):  # the Query protocol
        return parse_qs(body.decode(errors="replace")).get("Action", ["Unknown"])[0]
    if service == "s3":
        return _s3_operation(method, path, parameters, headers)
    return f"{method} {path}"


def is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _s3_operation(method: str, path: str, parameters: dict[str, list[str]], headers: Mapping[str, str]) -> str:
    has_key = "/" in path.strip("/") or (path.count("/") > 1 and not path.endswith("/"))
    if not has_key:
        bucket_operations = {"GET": "ListObjectsV2", "HEAD": "HeadBucket", "PUT": "CreateBucket"}
        return "DeleteObjects" if "delete" in parameters else bucket_operations.get(method, f"{method} bucket")
    if "uploads" in parameters:
        return "CreateMultipartUpload"
    if "uploadId" in parameters:
        multipart = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        return multipart.get(method, "ListParts")
    if method == "PUT":
        return "CopyObject" if "x-amz-copy-source" in headers else "PutObject"
    return {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}.get(method, f"{method} object")
