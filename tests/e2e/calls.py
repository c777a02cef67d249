"""The API of a running stack as a program calls it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from infra.local.stack import Stack


def call(stack: Stack, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of the answer."""
    request = urllib.request.Request(
        stack.addresses.api + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=35) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")
