"""A live log costs no more for many viewers than for one: who asks for the same page at the same moment shares it.

Kept in the function's own process for half a second, which nobody notices beside the second in which a runner ships.
"""

from __future__ import annotations

import time
from threading import Lock

from trainyard.logs.live import LogPage, read_log
from trainyard.store.objects import Objects

KEPT_SECONDS = 0.5
_MOST_PAGES = 64
_LARGEST = 1 << 20

_Key = tuple[str, str, int, int]
_pages: dict[_Key, tuple[float, LogPage]] = {}
_reading: dict[_Key, Lock] = {}
_lock = Lock()


def shared_page(objects: Objects, run_id: str, offset: int, limit: int) -> LogPage:
    """`read_log`, at most half a second old while the log still grows."""
    key = (objects.bucket, run_id, offset, limit)
    with _lock:
        turn = _reading.setdefault(key, Lock())
    with turn:  # of those who ask at once one reads, and the others find what it read
        known = _pages.get(key)
        if known is None or known[0] < time.monotonic():
            known = (time.monotonic() + KEPT_SECONDS, read_log(objects, run_id, offset, limit))
            _keep(key, known)
        return known[1]


def _keep(key: _Key, known: tuple[float, LogPage]) -> None:
    with _lock:
        now = time.monotonic()
        for old in [old for old, (until, _) in _pages.items() if until < now]:
            _pages.pop(old)
            _reading.pop(old, None)
        if not known[1].end and len(known[1].text) <= _LARGEST and len(_pages) < _MOST_PAGES:
            _pages[key] = known
        else:
            _reading.pop(key, None)
