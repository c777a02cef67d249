"""The HTTP API and the pages."""

from __future__ import annotations

from typing import Any

from trainyard.web.app import handle


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return handle(event, context)
