"""Every change of a row is kept, so that the table can be made again."""

from __future__ import annotations

from typing import Any

from trainyard.store import journal, state


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return {"key": journal.keep(state().objects, event["Records"])}
