"""A live log costs no more for many viewers than for one: what they ask the bucket for at the same moment is shared.

Lists are kept for half a second, which nobody notices beside the second in which a runner ships; a chunk never changes,
so it is kept while there is room. All in the function's own process.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Lock
from typing import Any

from trainyard.logs.live import LogPage, read_log
from trainyard.store.layout import is_log_chunk
from trainyard.store.objects import ObjectMissingError, Objects, StoredObject

KEPT_SECONDS = 0.5
_CHUNK_SECONDS = 60.0
_MOST_BYTES = 32 << 20
_ONE_LIST_CALL = 1000
_BYTES_OF_A_NAME = 200


def shared_page(objects: Objects, run_id: str, offset: int, limit: int) -> LogPage:
    """`read_log`, at most half a second old while the log still grows."""
    return read_log(_SharedReads(objects), run_id, offset, limit)


def forget() -> None:
    """For who begins anew with another bucket of the same name."""
    _shared.clear()


class _SharedReads(Objects):
    """A bucket of which what was just read is not read again."""

    def __init__(self, objects: Objects) -> None:
        super().__init__(objects.bucket)
        self._objects = objects

    def get(self, key: str) -> bytes:
        kept = _CHUNK_SECONDS if is_log_chunk(key) else KEPT_SECONDS
        found: bytes | None = _shared.value((self.bucket, key), kept, lambda: self._known(key))
        if found is None:
            raise ObjectMissingError(key)
        return found

    def get_range(self, key: str, start: int, end: int) -> bytes:
        return self._objects.get_range(key, start, end)

    def find(self, prefix: str, start_after: str | None = None, limit: int | None = None) -> Iterator[StoredObject]:
        count = min(limit or _ONE_LIST_CALL, _ONE_LIST_CALL)
        first: list[StoredObject] = _shared.value(
            (self.bucket, prefix, start_after, count),
            KEPT_SECONDS,
            lambda: list(self._objects.find(prefix, start_after, count)),
        )
        yield from first
        if len(first) == _ONE_LIST_CALL and (limit is None or limit > count):
            yield from self.find(prefix, first[-1].key, None if limit is None else limit - count)

    def folders(self, prefix: str) -> list[str]:
        found: list[str] = _shared.value(
            (self.bucket, prefix, "/"), KEPT_SECONDS, lambda: self._objects.folders(prefix)
        )
        return found

    def _known(self, key: str) -> bytes | None:
        with suppress(ObjectMissingError):
            return self._objects.get(key)
        return None


class _Shared:
    """Values that several want: one makes it, the others wait and find it. The oldest go when room is short."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._making: dict[Any, Lock] = {}
        self._values: OrderedDict[Any, tuple[float, int, Any]] = OrderedDict()
        self._bytes = 0

    def value(self, key: Any, seconds: float, make: Callable[[], Any]) -> Any:
        """What `make` gave within the last `seconds`; None is kept for half a second at most."""
        with self._lock:
            turn = self._making.setdefault(key, Lock())
        with turn:
            known = self._values.get(key)
            if known is not None and time.monotonic() < known[0]:
                return known[2]
            value = make()
            self._keep(key, KEPT_SECONDS if value is None else seconds, value)
            return value

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._making.clear()
            self._bytes = 0

    def _keep(self, key: Any, seconds: float, value: Any) -> None:
        size = _BYTES_OF_A_NAME + (len(value) if isinstance(value, bytes) else len(value or ()) * _BYTES_OF_A_NAME)
        with self._lock:
            self._bytes += size - self._values.pop(key, (0.0, 0, None))[1]
            self._values[key] = (time.monotonic() + seconds, size, value)
            while self._bytes > _MOST_BYTES:
                oldest, (_, freed, _) = self._values.popitem(last=False)
                self._making.pop(oldest, None)
                self._bytes -= freed


_shared = _Shared()
