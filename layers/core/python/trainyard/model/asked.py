"""What `validate_repo` is asked by a row of its own: a push, a check, an inspection. While no answer comes, it is asked
again, at longer and longer intervals: an event may be lost, a git host be away for hours."""

from __future__ import annotations

from datetime import datetime, timedelta

from trainyard.model.check import Check
from trainyard.model.repository import Push
from trainyard.model.storage import StorageTask

Asked = Push | Check | StorageTask
PATIENCE = timedelta(minutes=10)
"""For the first answer; doubled with every nudge."""
MOST_NUDGES = 8
"""The last one comes after 21 hours."""


def asked_at(row: Asked) -> datetime:
    return row.received_at if isinstance(row, Push) else row.requested_at


def is_answered(row: Asked) -> bool:
    return (row.checked_at if isinstance(row, Push) else row.answered_at) is not None


def awaits_answer(row: Asked) -> bool:
    """Whether it may still be asked again."""
    return not is_answered(row) and row.nudges < MOST_NUDGES


def is_due(row: Asked, at: datetime) -> bool:
    """Whether it is to be asked again at that time."""
    return awaits_answer(row) and at - asked_at(row) > PATIENCE * 2**row.nudges


def is_asked_again(before: Asked, after: Asked) -> bool:
    return after.nudges > before.nudges and not is_answered(after)
