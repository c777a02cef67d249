"""Git LFS: who may store or fetch which object, and at which presigned address. Bytes never pass through here."""

from __future__ import annotations

from typing import Any

from trainyard.lfs.batch import handle_lfs


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return handle_lfs(event)
