"""Pushes, checks and inspections that nobody answered: what they ask is said again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from aws_lambda_powertools import Logger

from trainyard.model.asked import MOST_NUDGES, Asked, is_due
from trainyard.store import State

logger = Logger()
NUDGED_AT_ONCE = 500
"""In one sweep; the others have their turn in the next."""


@dataclass
class Unanswered:
    """What one sweep did."""

    waiting: int = 0
    """Rows without an answer that were looked at, those of the last minutes among them."""
    nudged: int = 0


def ask_again(state: State, now: datetime | None = None) -> Unanswered:
    """Nudge what waits for longer than it should, the oldest first. With nothing that waits it is one query."""
    at, done, cursor = now or datetime.now(UTC), Unanswered(), None
    while True:
        page = state.table.unanswered(200, cursor)
        for row in page.rows:
            done.waiting += 1
            if is_due(row, at) and state.table.nudge(row):
                done.nudged += 1
                _tell(row)
            if done.nudged >= NUDGED_AT_ONCE:
                return done
        cursor = page.cursor
        if cursor is None:
            return done


def _tell(row: Asked) -> None:
    told = {"asked": type(row).__name__.lower(), "id": row.id, "nudges": row.nudges + 1}
    if row.nudges + 1 == MOST_NUDGES:
        logger.warning("asked for the last time", extra=told)
    else:
        logger.info("asked again", extra=told)
