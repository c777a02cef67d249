"""How often somebody may call: so many requests a minute, counted over all instances of a function.

A row is counted up once for each portion of requests, not for each request: an instance takes a portion and spends it.
Several instances may leave parts of a portion unspent, so a limit is reached a little early, never late.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime

from trainyard.model.errors import TooManyRequests
from trainyard.model.text import Text
from trainyard.store.table import Table

PORTION = 20
_MOST_KNOWN = 1000
_KEPT_SECONDS = 300


class RateLimit:
    """`per_minute` requests for each caller; 0: no limit."""

    def __init__(self, table: Table, per_minute: int) -> None:
        self._table = table
        self._per_minute = per_minute
        self._left: OrderedDict[tuple[str, int], int] = OrderedDict()

    def take(self, caller: str, now: datetime | None = None) -> None:
        """Count one request. TooManyRequests, with `retry_after` in seconds, if the minute's are used up."""
        if not self._per_minute:
            return
        seconds = int((now or datetime.now(UTC)).timestamp())
        known = (caller, seconds // 60)
        left = self._left.get(known, 0)
        if left == 0:
            left = self._portion(known)
            if left <= 0:
                raise _too_many(self._per_minute, 60 - seconds % 60)
        self._left[known] = left - 1
        self._left.move_to_end(known)
        while len(self._left) > _MOST_KNOWN:
            self._left.popitem(last=False)

    def _portion(self, known: tuple[str, int]) -> int:
        caller, minute = known
        portion = min(PORTION, self._per_minute)
        used = self._table.count(f"{caller}#{minute}", portion, expires=minute * 60 + _KEPT_SECONDS)
        return portion if used <= self._per_minute else 0


def _too_many(per_minute: int, retry_after: int) -> TooManyRequests:
    return TooManyRequests(
        Text(
            en=f"More than {per_minute} requests in a minute. Wait {retry_after} seconds, then go on more slowly.",
            zh=f"一分钟内的请求超过 {per_minute} 次。请等待 {retry_after} 秒，并降低请求频率。",
        ),
        details={"retry_after": retry_after},
    )
