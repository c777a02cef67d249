"""A changed row becomes one event on the bus."""

from __future__ import annotations

from typing import Any

from trainyard.store import state
from trainyard.store.bus import changes_in


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    stuck_at = state().bus.send(changes_in(event["Records"]))
    # Lambda starts again at the first record that is named here.
    return {"batchItemFailures": [{"itemIdentifier": stuck_at}] if stuck_at else []}
