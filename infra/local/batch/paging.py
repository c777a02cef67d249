"""Pages of a listing, with a token that holds the place where the next one starts."""

import base64
import binascii
from typing import Any, TypeVar

from infra.local.batch.refusal import Refusal

Row = TypeVar("Row")
MOST_PER_PAGE = 100


def size(request: dict[str, Any], most: int = MOST_PER_PAGE) -> int:
    """How many rows the caller wants: 1 to `most`, as many when it doesn't say."""
    wanted = int(request.get("maxResults") or most)
    if not 1 <= wanted <= most:
        raise Refusal(f"maxResults must be between 1 and {most}")
    return wanted


def token(place: int) -> dict[str, Any]:
    return {"nextToken": base64.urlsafe_b64encode(f"place:{place}".encode()).decode()}


def place(request: dict[str, Any]) -> int | None:
    """The place that the request's token names, or None when it has none."""
    given = request.get("nextToken")
    if not given:
        return None
    try:
        word, _, number = base64.b64decode(given, altchars=b"-_", validate=True).decode().partition(":")
        if word == "place" and number.isdecimal() and number.isascii():
            return int(number)
    except (binascii.Error, UnicodeError, ValueError):
        pass
    raise Refusal("nextToken is not one that this operation gave")


def page(rows: list[Row], request: dict[str, Any]) -> tuple[list[Row], dict[str, Any]]:
    """The rows of one page of a list that only grows at its end, and `{"nextToken": ...}` or `{}`."""
    start = place(request) or 0
    end = start + size(request)
    return rows[start:end], token(end) if end < len(rows) else {}
