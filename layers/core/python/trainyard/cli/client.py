"""A client of the HTTP API with nothing but the standard library, so that it installs in a second."""

from __future__ import annotations

import http.client
import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 35
"""A little longer than API Gateway waits for a function."""
_PIECE = 1 << 20
_PAUSE_SECONDS = 0.5
_MAY_BE_DONE = (0, 500, 502, 503, 504)
"""Answers after which nobody knows whether it was done; 0: none."""


@dataclass
class ApiError(Exception):
    """The API refused, or could not be reached (`status` 0); `message` says what to do."""

    status: int
    code: str
    message: str
    details: Any = None

    def __str__(self) -> str:
        return self.message


class Client:
    """Requests to one installation with one token."""

    def __init__(self, url: str, token: str | None = None, language: str = "en") -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ApiError(0, "invalid_url", f"{url!r} is not an address; write it as https://HOST")
        self.url = url.rstrip("/")
        self._token = token
        self._language = language

    def get(self, path: str, **query: object) -> Any:
        wanted = {name: value for name, value in query.items() if value is not None}
        return self._send("GET", f"{path}?{urllib.parse.urlencode(wanted)}" if wanted else path)

    def text(self, path: str) -> str:
        """What is not JSON, such as a report."""
        answer: bytes = self._fetch("GET", path, None, {})
        return answer.decode()

    def post(self, path: str, body: object | None = None, headers: Mapping[str, str] | None = None) -> Any:
        data = json.dumps(body if body is not None else {}).encode()
        return self._send("POST", path, data, {"Content-Type": "application/json", **(headers or {})})

    def post_once(self, path: str, body: Mapping[str, object], tries: int = 3) -> Any:
        """The same, for what must be done once although its answer may be lost: a run is started, or started again.

        Asked again under the same idempotency key, the API answers what came of the first time.
        """
        wanted = {**body, "idempotency_key": secrets.token_urlsafe()}
        for left in reversed(range(tries)):
            try:
                return self.post(path, wanted)
            except ApiError as error:
                if not left or error.status not in _MAY_BE_DONE:
                    raise
                time.sleep(_PAUSE_SECONDS)
        raise AssertionError("unreachable")

    def put(self, path: str, body: object) -> Any:
        return self._send("PUT", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def post_form(self, path: str, fields: Mapping[str, str]) -> Any:
        data = urllib.parse.urlencode(fields).encode()
        return self._send("POST", path, data, {"Content-Type": "application/x-www-form-urlencoded"})

    def delete(self, path: str) -> Any:
        return self._send("DELETE", path)

    def pages(self, path: str, key: str, **query: object) -> Iterator[Any]:
        """Every entry of a list, page after page."""
        cursor = None
        while True:
            page = self.get(path, cursor=cursor, **query)
            yield from page[key]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def download(self, address: str, target: Path, told: Callable[[int], None] | None = None) -> int:
        """Fetch a presigned address into a file and return its bytes; a half-written file never has its name.

        `told` hears the size of each piece as it comes.
        """
        return self._save(urllib.request.Request(address), target, told)  # noqa: S310 - the API's own https answer

    def download_from(self, path: str, target: Path) -> int:
        """The same for a path of the API that leads to such an address."""
        return self._save(self._request("GET", path), target, None)

    def _save(self, request: urllib.request.Request, target: Path, told: Callable[[int], None] | None) -> int:
        partial = target.with_name(target.name + ".part")
        with self._open(request) as answer, partial.open("wb") as file:
            while piece := answer.read(_PIECE):
                file.write(piece)
                if told:
                    told(len(piece))
        partial.replace(target)
        return target.stat().st_size

    def _send(self, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        body = self._fetch(method, path, data, {"Accept": "application/json", **(headers or {})})
        return json.loads(body) if body else None

    def _fetch(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> bytes:
        try:
            with self._open(self._request(method, path, data, headers)) as answer:
                body: bytes = answer.read()
        except (http.client.HTTPException, OSError) as error:  # it began to answer
            raise self._unreachable(error) from None
        return body

    def _request(
        self, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib.request.Request:
        request = urllib.request.Request(self.url + path, data=data, method=method)  # noqa: S310 - checked above
        request.add_header("Accept-Language", self._language)
        if self._token:
            # Not sent on: an answer may lead to the bucket, which is another place.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        return request

    def _open(self, request: urllib.request.Request) -> Any:
        try:
            return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310 - checked above
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise self._unreachable(getattr(error, "reason", error)) from None

    def _unreachable(self, reason: object) -> ApiError:
        return ApiError(0, "unreachable", f"{self.url} cannot be reached ({reason}); is the address right?")


def _refusal(error: urllib.error.HTTPError) -> ApiError:
    try:
        body = json.loads(error.read())
        return ApiError(error.code, body["code"], body["message"], body.get("details"))
    except (ValueError, KeyError, TypeError):
        return ApiError(error.code, "http_error", f"the server answered {error.code} {error.reason}")
