"""Why an attempt could not reach, or not get past, its script."""

from __future__ import annotations

from trainyard.model.errors import UserError
from trainyard.model.text import Text


class SetupError(UserError):
    """Code, inputs or packages could not be made ready. `last_lines`: what a tool had to say about it."""

    code = "setup_failed"

    def __init__(self, message: Text, last_lines: list[str] | None = None) -> None:
        super().__init__(message)
        self.last_lines = last_lines or []


class StopRequestedError(Exception):
    """A stop was asked for while the attempt was being made ready."""
