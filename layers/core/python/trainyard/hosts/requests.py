"""One request to a host's API: bounded in time and size, a few tries, never a redirect."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from trainyard.hosts.addresses import checked_address
from trainyard.hosts.contract import HostRefusedError, HostUnavailableError

TRIES = 3
TIMEOUT_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 2.0
_ANSWER_BYTES = 64 << 10
# Too many requests, or a fault on the other side that may pass.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def send_json(
    url: str,
    payload: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    method: str = "POST",
    sleep: Callable[[float], None] = time.sleep,
) -> Any:
    """Send `payload` and return the JSON answer, None where it has none that can be read.

    A redirect is a refusal: following it would carry the token to a place that nobody registered.

    Raises:
        InvalidInput: an address that we do not connect to.
        HostRefusedError: any 3xx, or a 4xx that does not pass by itself.
        HostUnavailableError: no answer, or 429 or 5xx in every try.
    """
    checked_address(url, "api_url")
    body = json.dumps(payload).encode()
    sent = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "trainyard", **headers}
    reason = ""
    for attempt in range(TRIES):
        try:
            status, retry_after, answer = _once(method, url, body, sent)
        except (OSError, HTTPException) as error:
            reason, retry_after = type(error).__name__, ""
        else:
            if status < 300:
                return _json_or_none(answer)
            text = answer.decode(errors="replace")
            if status not in _PASSING:
                raise HostRefusedError(urlsplit(url).hostname or "", status, text)
            reason = f"{status} {text[:200]}".strip()
        if attempt + 1 < TRIES:
            sleep(_pause(attempt, retry_after))
    raise HostUnavailableError(f"{urlsplit(url).hostname} did not take the request in {TRIES} tries: {reason}")


def _once(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, parts.path or "/", body=body, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.getheader("Retry-After", ""), response.read(_ANSWER_BYTES)
    finally:
        connection.close()


def _pause(attempt: int, retry_after: str) -> float:
    """Seconds to wait. A host that asks for longer than we can wait is asked again with the next delivery."""
    asked = float(retry_after) if retry_after.isdecimal() else 0.0
    own = float(2**attempt) / 4 * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, hides nothing
    return min(max(asked, own), _LONGEST_PAUSE_SECONDS)


def _json_or_none(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return None
