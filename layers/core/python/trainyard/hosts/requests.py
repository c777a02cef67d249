"""One request to a host's API: only where we may connect, bounded in time and size, a few tries, never a redirect."""

from __future__ import annotations

import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, urlsplit

from trainyard.hosts.addresses import Destination, destination
from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.redaction import margin, redacted, secrets_of

TRIES = 3
TIMEOUT_SECONDS = 5.0
"""For the connection, and for each piece of the answer."""
WHOLE_SECONDS = 6.0
"""For one try from its beginning to its end."""
_LONGEST_PAUSE_SECONDS = 2.0
_ANSWER_BYTES = 1 << 20
_REFUSAL_BYTES = 1 << 16
_REASON_CHARACTERS = 2 << 10
# Too many requests, or a fault on the other side that may pass.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Reply:
    """What a host answered."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


def send_json(
    url: str,
    payload: Mapping[str, Any] | None,
    headers: Mapping[str, str],
    *,
    method: str = "POST",
    query: str = "",
    tries: int = TRIES,
    sleep: Callable[[float], None] = time.sleep,
) -> Any:
    """Send `payload` (None: nothing) and return the JSON answer, None where it has none that can be read.

    A redirect is a refusal: following it would carry the token to a place that nobody registered.

    Raises:
        InvalidInput: an address that we do not connect to.
        HostRefusedError: any 3xx, or a 4xx that does not pass by itself.
        HostUnavailableError: no answer, or 429 or 5xx in every try, or it asks for more patience than we have.
    """
    sent = {"Accept": "application/json", **headers}
    if payload is not None:
        sent["Content-Type"] = "application/json"
    body = b"" if payload is None else json.dumps(payload).encode()
    reply = send(url, body, sent, method=method, query=query, largest=_ANSWER_BYTES, tries=tries, sleep=sleep)
    return _json_or_none(reply.body)


def get_json(url: str, headers: Mapping[str, str], query: str = "", tries: int = TRIES) -> Any:
    """The JSON answer to a GET; like `send_json`."""
    return send_json(url, None, headers, method="GET", query=query, tries=tries)


def send(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    method: str,
    largest: int,
    query: str = "",
    tries: int = TRIES,
    secrets: Collection[str] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> Reply:
    """One request with a few tries; `largest`: bytes of the answer that are read. The errors of `send_json`.

    `query` is ours and apart from the address, which somebody registered and may hold none. `secrets`: what no error
    may repeat, besides what `redaction.secrets_of` finds in the request.
    """
    parts = urlsplit(url)
    _check_headers(parts.hostname or "", headers)
    target = (parts.path or "/") + (f"?{query}" if query else "")
    name = parts.hostname or ""
    reason = ""
    for attempt in range(tries):
        asked = 0.0
        try:
            connection = _connection(parts, destination(url, "api_url"))
            reply = _once(connection, method, target, body, {"User-Agent": "trainyard", **headers}, largest)
        except (OSError, HTTPException) as error:
            reason = type(error).__name__
        else:
            if reply.status < 300:
                return reply
            text = _reason(reply.body, {*secrets, *secrets_of(headers, body, query)}, largest)
            if not _passes(reply):
                raise HostRefusedError(name, reply.status, text, reply.headers)
            reason, asked = f"{reply.status} {text[:200]}".strip(), _asked_pause(reply.headers.get("retry-after", ""))
        if asked > _LONGEST_PAUSE_SECONDS:
            # To ask again before that would only lengthen it. The next delivery of the event asks again.
            raise HostUnavailableError(f"{name} asks to wait for {asked:.0f} s: {reason}", asked)
        if attempt + 1 < tries:
            sleep(_pause(attempt, asked))
    raise HostUnavailableError(f"{name} did not take the request in {tries} tries: {reason}")


def _check_headers(host: str, headers: Mapping[str, str]) -> None:
    """Before http.client refuses one in words that repeat it."""
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise HostRefusedError(host, 400, "(it was not asked): the token has characters that no header may have")


def _reason(answer: bytes, secrets: Collection[str], largest: int) -> str:
    """The beginning of what a host says to explain itself; `largest`: bytes after which we read no more."""
    most, spare = _REASON_CHARACTERS, margin(secrets)
    # A character has four bytes at most.
    text = answer[: 4 * (most + spare)].decode(errors="replace")
    if len(answer) >= largest:
        most = min(most, max(len(text) - spare, 0))
    return redacted(text, secrets, most)


@contextmanager
def opened(url: str, headers: Mapping[str, str], *, query: str = "") -> Iterator[HTTPResponse]:
    """The answer to one GET, to be read piece by piece by whoever knows how much it may be.

    Each piece has to arrive in time, the whole may take as long as it takes. One try, no redirect.

    Raises:
        InvalidInput: an address that we do not connect to.
        HostRefusedError: any other answer than a success; with its headers.
        OSError, HTTPException: no answer, also while it is read.
    """
    parts = urlsplit(url)
    _check_headers(parts.hostname or "", headers)
    connection = _connection(parts, destination(url, "address"))
    try:
        target = (parts.path or "/") + (f"?{query}" if query else "")
        connection.request("GET", target, headers={"User-Agent": "trainyard", **headers})
        response = connection.getresponse()
        if response.status >= 300:
            answered = {name.lower(): value for name, value in response.getheaders()}
            reason = _reason(response.read(_REFUSAL_BYTES), secrets_of(headers, b"", query), _REFUSAL_BYTES)
            raise HostRefusedError(parts.hostname or "", response.status, reason, answered)
        yield response
    finally:
        connection.close()


def _passes(reply: Reply) -> bool:
    """Whether it may be taken later. GitHub says 403, too, where there were too many requests."""
    limited = "retry-after" in reply.headers or reply.headers.get("x-ratelimit-remaining") == "0"
    return reply.status in _PASSING or (reply.status == 403 and limited)


class _CheckedConnection(HTTPConnection):
    """Goes to the addresses that were checked; what the name stands for by now does not matter."""

    checked: Destination

    def connect(self) -> None:
        self.sock = _socket(self.checked)


class _CheckedTlsConnection(HTTPSConnection):
    """The same, and the host has to prove that it is the one of that name."""

    checked: Destination

    def connect(self) -> None:
        self.sock = _tls().wrap_socket(_socket(self.checked), server_hostname=self.checked.host)


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _connection(parts: SplitResult, checked: Destination) -> HTTPConnection:
    kind = _CheckedTlsConnection if parts.scheme == "https" else _CheckedConnection
    connection = kind(checked.host, parts.port, timeout=TIMEOUT_SECONDS)
    connection.checked = checked
    return connection


def _socket(checked: Destination) -> socket.socket:
    """To the first of the addresses that answers."""
    end = time.monotonic() + WHOLE_SECONDS
    failure: OSError = TimeoutError()
    for address in checked.addresses:
        left = min(TIMEOUT_SECONDS, end - time.monotonic())
        if left <= 0:
            break
        try:
            connected = socket.create_connection((address, checked.port), left)
        except OSError as error:
            failure = error
        else:
            connected.settimeout(TIMEOUT_SECONDS)
            return connected
    raise failure


def _once(
    connection: HTTPConnection, method: str, target: str, body: bytes, headers: Mapping[str, str], largest: int
) -> Reply:
    """TimeoutError also where the host answers, but so slowly that it would hold us for ever."""
    with _cut_off(connection) as is_over:
        connection.request(method, target, body=body or None, headers=dict(headers))
        response = connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        reply = Reply(response.status, answered, response.read(largest))
    if is_over.is_set():
        raise TimeoutError
    return reply


@contextmanager
def _cut_off(connection: HTTPConnection) -> Iterator[threading.Event]:
    """Close the connection afterwards, or from under whoever still reads when the time is over; the event says so."""
    is_over = threading.Event()

    def cut() -> None:
        is_over.set()
        with suppress(OSError, AttributeError):  # it may be closed already, or not open yet
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(WHOLE_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()
        connection.close()


def _asked_pause(retry_after: str) -> float:
    """Seconds that the host asks for, as a number or as a date; 0 where it does not."""
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        return max((parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def _pause(attempt: int, asked: float) -> float:
    """Seconds to wait before the next try."""
    own = float(2**attempt) / 4 * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, hides nothing
    return max(asked, own)


def _json_or_none(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return None
