"""On a schedule: what events may have missed is found and mended."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from trainyard.compute.registry import backend
from trainyard.store import state
from trainyard.tracking.sweep import sweep_runs


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    return asdict(sweep_runs(state(), backend))
