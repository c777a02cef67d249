"""Requests and answers in the words of API Gateway's HTTP API (payload version 2.0)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from trainyard.model.errors import InvalidInput, TooLarge
from trainyard.model.settings import settings
from trainyard.model.text import Language, Text

MAX_BODY_BYTES = 1 << 20
MAX_ANSWER_BYTES = 5_500_000
"""Lambda takes 6 MB with its own wrapping of quotes; API Gateway would take 10."""
_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_CHINESE = re.compile(r"\s*zh\b", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    caller: str
    """Network address that it came from."""
    public_url: str
    """Root under which the caller reached us."""
    raw_query: str = ""
    """For parameters that come several times, of which `query` has the last."""
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def is_form(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")

    def every(self, name: str) -> list[str]:
        """All values of a parameter of the query, in their order."""
        return [value for key, value in parse_qsl(self.raw_query, keep_blank_values=True) if key == name]

    def number(self, name: str, default: int, largest: int) -> int:
        """A whole number of the query from 0 to `largest`; InvalidInput if it is none."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
            raise InvalidInput(
                Text(en=f"{name} must be a whole number.", zh=f"{name} 必须是非负整数。"), details={"field": name}
            )
        return min(int(text), largest)

    def json(self) -> Any:
        """The body as a JSON object; empty is an empty one."""
        try:
            text = self.body.decode("utf-8-sig")
            document = json.loads(text or "{}")
            if _HALF_OF_A_PAIR.search(text):
                json.dumps(document, ensure_ascii=False).encode()
        except (ValueError, RecursionError):  # ValueError: no JSON, or half a character, which no store can keep
            document = None
        if not isinstance(document, dict):
            raise InvalidInput(
                Text(en="The body must be one JSON object in UTF-8.", zh="请求体必须是 UTF-8 编码的 JSON 对象。")
            )
        return document


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    """What JSON can say; bytes are JSON already, or whatever the headers say that they are."""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""

    def unless_known(self, etag: str | None) -> Answer:
        """304 in place of what the caller has already; `etag` is what its If-None-Match says."""
        if self.status != 200 or self.body is None:
            return self
        own = f'"{hashlib.sha256(self._coded()).hexdigest()[:32]}"'
        headers = {"cache-control": "private, no-cache", "vary": "accept-language, authorization", "etag": own}
        if etag is not None and own in (one.strip().removeprefix("W/") for one in etag.split(",")):
            return Answer(304, None, headers)
        return Answer(self.status, self._coded(), {**headers, **self.headers})

    def _coded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else _json(self.body)

    def to_gateway(self) -> dict[str, Any]:
        """TooLarge if Lambda would not take the answer."""
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", **self.headers}
        if self.body is None:
            return {"statusCode": self.status, "headers": headers}
        body = self._coded()
        if len(body) > MAX_ANSWER_BYTES:
            raise TooLarge(
                Text(
                    en="The answer would be too large. Ask for less at once, with a smaller limit.",
                    zh="返回内容过大。请减小 limit，分多次获取。",
                )
            )
        headers.setdefault("content-type", "application/json; charset=utf-8")
        return {"statusCode": self.status, "headers": headers, "body": body.decode(), "isBase64Encoded": False}


def preferred_language(headers: Mapping[str, str]) -> Language:
    """Chinese if the caller prefers it, English otherwise. Header names in any case."""
    wanted = next((value for name, value in headers.items() if name.lower() == "accept-language"), "")
    return "zh" if _CHINESE.match(wanted) else "en"


def read_request(event: dict[str, Any], max_body: int = MAX_BODY_BYTES) -> Request:
    """TooLarge if the body is; InvalidInput if its coding is broken."""
    http = event["requestContext"]["http"]
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    body = _body(event)
    if len(body) > max_body:
        raise TooLarge(
            Text(
                en=f"The body is larger than {max_body >> 10} KiB.",
                zh=f"请求体超过 {max_body >> 10} KiB。",
            )
        )
    raw_query = _whole(event.get("rawQueryString") or "")
    return Request(
        method=http["method"],
        path=_whole(event["rawPath"]),
        query=dict(parse_qsl(raw_query, keep_blank_values=True)),
        raw_query=raw_query,
        cookies=_cookies(event),
        headers=headers,
        body=body,
        caller=http.get("sourceIp", ""),
        public_url=settings().public_url or _url_of(event, headers),
    )


def _cookies(event: dict[str, Any]) -> dict[str, str]:
    """The first of each name: a browser sends the one with the longest path first."""
    cookies: dict[str, str] = {}
    # AWS gives them apart; the emulator leaves them where the browser put them.
    header = next((value for name, value in (event.get("headers") or {}).items() if name.lower() == "cookie"), "")
    for cookie in event.get("cookies") or header.split(";"):
        name, _, value = cookie.partition("=")
        cookies.setdefault(name.strip(), value.strip())
    return cookies


def _whole(text: str) -> str:
    """Without halves of characters, which could be written into no answer."""
    return text.encode(errors="replace").decode()


def _json(body: Any) -> bytes:
    # Halves of characters, which a caller may have sent in a name, cannot be sent back.
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode(errors="replace")


def _body(event: dict[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode(errors="surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise InvalidInput(Text(en="The body cannot be decoded.", zh="请求体无法解码。")) from None


def _url_of(event: dict[str, Any], headers: dict[str, str]) -> str:
    host = event["requestContext"].get("domainName") or headers.get("host", "")
    return f"{headers.get('x-forwarded-proto', 'https')}://{host}"
