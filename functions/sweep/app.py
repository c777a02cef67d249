"""On a schedule: what events may have missed is found and mended."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from trainyard.compute.registry import backend
from trainyard.intake.missed import find_missed_pushes
from trainyard.intake.unanswered import ask_again
from trainyard.store import state
from trainyard.tracking.orphans import mend_orphans
from trainyard.tracking.sweep import sweep_runs
from trainyard.tracking.watch import watch_runs

logger = Logger()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    if event.get("watch"):
        return {"watched": watch_runs(state(), backend, only=event.get("runs") or [])}
    done: dict[str, Any] = {}
    try:
        done |= asdict(sweep_runs(state(), backend))
        done["jobs"] = asdict(mend_orphans(state(), backend("aws_batch"), datetime.now(UTC)))
    finally:
        # A backend that cannot be asked keeps nobody's push from being found.
        done["unanswered"] = asdict(ask_again(state()))
        done["pushes"] = asdict(find_missed_pushes(state()))
        # The alarm on stuck runs counts this line.
        logger.info("swept", **done)
    return done
