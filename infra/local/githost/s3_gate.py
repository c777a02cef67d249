"""What S3 enforces and its emulators do not: presigned addresses with a right signature, in time, for the right bytes.

A WSGI application in front of an emulated S3. Requests signed in a header (the SDK's own) pass unchecked.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any
from urllib.parse import parse_qsl, quote, urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

MAX_EXPIRES_SECONDS = 7 * 24 * 3600
_CLOCK_SKEW = timedelta(minutes=15)
_UPSTREAM_SECONDS = 300.0
_PIECE = 1 << 20
_NOT_PASSED_ON = ("host", "connection", "transfer-encoding", "expect")
_NOT_PASSED_BACK = ("connection", "transfer-encoding", "keep-alive", "date", "server")


class RefusedError(Exception):
    """S3 would refuse this: status line and S3's own error code."""

    def __init__(self, status: str, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class S3Gate:
    upstream: str
    """Address of the emulated S3."""
    access_key: str = "test"
    secret_key: str = "test"  # noqa: S105 - what every emulator takes
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, request: WSGIEnvironment, start_response: StartResponse) -> Any:
        try:
            self._check(request)
        except RefusedError as error:
            content = f'<?xml version="1.0"?><Error><Code>{error.code}</Code></Error>'.encode()
            headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(content)))]
            start_response(error.status, headers)
            return [content]
        return self._forward(request, start_response)

    def _check(self, request: WSGIEnvironment) -> None:
        query = parse_qsl(request.get("QUERY_STRING", ""), keep_blank_values=True)
        given = dict(query)
        if "X-Amz-Signature" not in given:
            if not request.get("HTTP_AUTHORIZATION"):
                raise RefusedError("403 Forbidden", "AccessDenied")
            return
        self._check_time(given)
        self._check_signature(request, query, given)
        if request["REQUEST_METHOD"] == "PUT":
            _check_content(request)

    def _check_time(self, given: dict[str, str]) -> None:
        try:
            signed_at = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            expires = int(given["X-Amz-Expires"])
        except (KeyError, ValueError):
            raise RefusedError("400 Bad Request", "AuthorizationQueryParametersError") from None
        if not 0 < expires <= MAX_EXPIRES_SECONDS:
            raise RefusedError("400 Bad Request", "AuthorizationQueryParametersError")
        if not signed_at - _CLOCK_SKEW <= self.now() <= signed_at + timedelta(seconds=expires):
            raise RefusedError("403 Forbidden", "AccessDenied")

    def _check_signature(self, request: WSGIEnvironment, query: list[tuple[str, str]], given: dict[str, str]) -> None:
        key, _, scope = given.get("X-Amz-Credential", "").partition("/")
        if key != self.access_key:
            raise RefusedError("403 Forbidden", "InvalidAccessKeyId")
        signed = given.get("X-Amz-SignedHeaders", "").split(";")
        headers = _headers(request)
        if "host" not in signed or any(name.startswith("x-amz-") and name not in signed for name in headers):
            raise RefusedError("403 Forbidden", "AccessDenied")
        canonical = "\n".join(
            [
                request["REQUEST_METHOD"],
                quote(request["PATH_INFO"].encode("latin-1"), safe="/-_.~"),
                "&".join(sorted(f"{_encode(n)}={_encode(v)}" for n, v in query if n != "X-Amz-Signature")),
                "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed),
                ";".join(signed),
                "UNSIGNED-PAYLOAD",
            ]
        )
        to_sign = "\n".join(
            ["AWS4-HMAC-SHA256", given["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
        )
        signing_key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            signing_key = hmac.digest(signing_key, part.encode(), "sha256")
        expected = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), given["X-Amz-Signature"].encode()):
            raise RefusedError("403 Forbidden", "SignatureDoesNotMatch")

    def _forward(self, request: WSGIEnvironment, start_response: StartResponse) -> Any:
        address = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_UPSTREAM_SECONDS)
        query = request.get("QUERY_STRING")
        target = quote(request["PATH_INFO"].encode("latin-1"), safe="/-_.~") + (f"?{query}" if query else "")
        headers = {name: value for name, value in _headers(request).items() if name not in _NOT_PASSED_ON}
        body = request["wsgi.input"] if int(request.get("CONTENT_LENGTH") or 0) else None
        connection.request(request["REQUEST_METHOD"], target, body, headers)
        answer = connection.getresponse()
        passed = [(name, value) for name, value in answer.getheaders() if name.lower() not in _NOT_PASSED_BACK]
        start_response(f"{answer.status} {answer.reason or 'Status'}", passed)
        return _Pieces(answer, connection)


class _Pieces:
    """The upstream's body in pieces; closes the connection with the response."""

    def __init__(self, answer: http.client.HTTPResponse, connection: http.client.HTTPConnection) -> None:
        self._answer = answer
        self._connection = connection

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        piece = self._answer.read(_PIECE)
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        self._connection.close()


def _check_content(request: WSGIEnvironment) -> None:
    """The body against its signed checksum. The server has read it whole, so it can be read twice."""
    stated = _headers(request).get("x-amz-checksum-sha256")
    if stated is None:
        return
    body: IO[bytes] = request["wsgi.input"]
    digest = hashlib.sha256()
    while piece := body.read(_PIECE):
        digest.update(piece)
    body.seek(0)
    if not hmac.compare_digest(base64.b64encode(digest.digest()), stated.encode()):
        raise RefusedError("400 Bad Request", "BadDigest")


def _headers(request: WSGIEnvironment) -> dict[str, str]:
    headers = {name[5:].lower().replace("_", "-"): value for name, value in request.items() if name.startswith("HTTP_")}
    for key, name in (("CONTENT_LENGTH", "content-length"), ("CONTENT_TYPE", "content-type")):
        if request.get(key):
            headers[name] = request[key]
    return headers


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
