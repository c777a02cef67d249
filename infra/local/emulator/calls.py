"""Which AWS API calls were made: by which function, of which service and operation, when, and how much they carried.

Benchmarks turn them into times and cost, the policy test into the permissions that a function really needs.
What AWS does by itself (a poller that reads a queue, a rule that sends to one) does not pass here and is not noted.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qs

_CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/[^/]*/([^/]+)/aws4_request")
_APPLICATION = re.compile(r"(?:^|\s)app/(\S+)")
_OUTSIDE = "(outside)"


# Characters; the longest that DynamoDB takes for a key of an index is of this size.
_SHORT = 1024
_SENDING = ("PutItem", "TransactWriteItems", "PutEvents")


class Sent(NamedTuple):
    """One row or event that a call put."""

    size: int
    """Bytes."""
    attributes: dict[str, str]
    """A row's that are short: they tell which row it is, and where in which indexes."""


class Call(NamedTuple):
    """One kind of call; `caller` is the function's logical id, or "(outside)" for whoever is no function."""

    caller: str
    service: str
    operation: str


@dataclass(frozen=True)
class MadeCall:
    """One call that was made."""

    call: Call
    at: float
    """When it came, in seconds of the epoch."""
    seconds: float
    """Until it was answered."""
    sent: list[Sent]
    """What it put: rows, events. Only of the JSON protocols; an object's price does not depend on its size."""
    returned: int
    """Bytes of the answer's body."""


class CallLog:
    """The newest calls, as many as a benchmark or a test needs; safe to use from several threads."""

    def __init__(self, kept: int = 20_000) -> None:
        self._made: deque[MadeCall] = deque(maxlen=kept)

    def add(self, made: MadeCall) -> None:
        self._made.append(made)

    def reset(self) -> None:
        self._made.clear()

    def report(self) -> list[dict[str, Any]]:
        """`[{"caller", "service", "operation", "at", "seconds", "sent", "returned"}]`, oldest first."""
        return [
            {
                **made.call._asdict(),
                "at": made.at,
                "seconds": made.seconds,
                "sent": [sent._asdict() for sent in made.sent],
                "returned": made.returned,
            }
            for made in list(self._made)
        ]


def sent_by(operation: str, body: bytes) -> list[Sent]:
    """The rows or events in the body of a call by a JSON protocol."""
    if operation not in _SENDING:
        return []
    document = json.loads(body)
    match operation:
        case "PutItem":
            return [_row(document["Item"])]
        case "TransactWriteItems":
            return [_row(put["Item"]) for action in document["TransactItems"] if (put := action.get("Put"))]
        case _:
            return [Sent(len(json.dumps(entry)), {}) for entry in document["Entries"]]


def _row(item: dict[str, dict[str, Any]]) -> Sent:
    # As DynamoDB counts: names and values, without the words of the protocol.
    size = sum(len(name) + len(str(value).encode()) for name, typed in item.items() for value in typed.values())
    values = {name: str(value) for name, typed in item.items() for value in typed.values()}
    return Sent(size, {name: value for name, value in values.items() if len(value) <= _SHORT})


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


def is_described_by_its_body(headers: Mapping[str, str]) -> bool:
    """Whether the body, always a small one, says what the call does."""
    return is_form(headers) or "x-amz-target" in headers


def is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _s3_operation(method: str, path: str, parameters: dict[str, list[str]], headers: Mapping[str, str]) -> str:
    has_key = "/" in path.strip("/") or (path.count("/") > 1 and not path.endswith("/"))
    if not has_key and "uploads" in parameters:
        return "ListMultipartUploads"
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
