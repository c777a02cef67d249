"""The emulator hands a stream's records on one by one, although a reader may ask for all of some seconds together.

To readers with `MaximumBatchingWindowInSeconds` it looks only that often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any


def keep_batching_windows(clock: Callable[[], float] = time.monotonic) -> None:
    """Let each such event source mapping rest for the length of its window. Once per process, before serving."""
    from ministack.services import lambda_svc

    mappings = lambda_svc._iter_all_esms  # noqa: SLF001  no public name; the package is pinned
    poll = lambda_svc._poll_dynamodb_streams  # noqa: SLF001
    looked_at: dict[str, float] = {}

    def due(mapping: dict[str, Any]) -> bool:
        window = mapping.get("MaximumBatchingWindowInSeconds") or 0
        now = clock()
        # The first look waits, too: the window opens with the first record, and nothing is older than the mapping.
        if now - looked_at.setdefault(mapping["UUID"], now) < window:
            return False
        looked_at[mapping["UUID"]] = now
        return True

    def those_due() -> Iterator[tuple[str, str, dict[str, Any]]]:
        return (one for one in mappings() if due(one[2]))

    @wraps(poll)
    def poll_those_due() -> bool:
        lambda_svc._iter_all_esms = those_due  # noqa: SLF001  one thread polls, and nobody else asks
        try:
            return bool(poll())
        finally:
            lambda_svc._iter_all_esms = mappings  # noqa: SLF001

    lambda_svc._poll_dynamodb_streams = poll_those_due  # noqa: SLF001
