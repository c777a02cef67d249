"""A git host's webhook arrives: it is stored before anything is done with it."""

from __future__ import annotations

from typing import Any

from trainyard.web.hooks import handle_hook


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return handle_hook(event)
