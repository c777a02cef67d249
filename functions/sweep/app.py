"""On a schedule: what events may have missed is found and mended."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger

from trainyard.compute.registry import backend
from trainyard.store import state
from trainyard.tracking.sweep import sweep_runs

logger = Logger()


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    done = asdict(sweep_runs(state(), backend))
    # The alarm on stuck runs counts this line.
    logger.info("swept", **done)
    return done
