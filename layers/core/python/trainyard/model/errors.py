"""Errors that are the user's to mend. Each says what to do; anything else that is raised is a bug of ours.

`web/errors.py` is the only place that turns them into HTTP answers.
"""

from __future__ import annotations

from typing import Any

from trainyard.model.text import Text


class UserError(Exception):
    """The request cannot be carried out as it stands, and the user can change that.

    `code` is stable and for programs, `message` is for people, `details` holds what else a program may want.
    """

    code = "bad_request"

    def __init__(self, message: Text, *, code: str | None = None, details: dict[str, Any] | None = None) -> None:
        super().__init__(str(message))
        self.message = message
        self.code = code or type(self).code
        self.details = details or {}


class InvalidInput(UserError):
    """A field is missing, unknown or has a wrong value."""

    code = "invalid_input"


class Unauthenticated(UserError):
    """No credentials, wrong ones, or a signature that does not fit."""

    code = "unauthenticated"


class Forbidden(UserError):
    """Known, but not allowed to do this."""

    code = "forbidden"


class NotFound(UserError):
    """There is no such thing, or not for this user."""

    code = "not_found"


class Conflict(UserError):
    """It cannot be done in the present state."""

    code = "conflict"


class TooLarge(UserError):
    """More bytes than are accepted."""

    code = "too_large"


class QuotaExceeded(UserError):
    """Storage or run quota is used up."""

    code = "quota_exceeded"


class TooManyRequests(UserError):
    """Slow down."""

    code = "too_many_requests"
