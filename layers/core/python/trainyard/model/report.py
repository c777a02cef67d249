"""What a git host was told of a run. A row of its own: telling must not touch the run that it tells of."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from trainyard.model.run import Claim

NOBODY = "nobody"
"""What was told where there is nobody to tell."""


class Report(BaseModel):
    """Pure functions give the report after a step; each step is one conditional write of the next version."""

    model_config = ConfigDict(extra="forbid")

    run: str
    told: str = ""
    """The run's `standing` that was told last, or `NOBODY`."""
    teller: Claim | None = None
    """Who is telling it just now."""
    at: datetime
    version: int = 0

    def is_taken(self, token: str, at: datetime, lease: timedelta) -> bool:
        """Whether somebody else than `token` is telling."""
        return self.teller is not None and self.teller.token != token and at < self.teller.at + lease

    def taken(self, token: str, at: datetime) -> Report:
        """The report while `token` tells."""
        return self._next(at, teller=Claim(token=token, at=at))

    def noted(self, standing: str, at: datetime) -> Report:
        """The report after `standing` was told."""
        return self._next(at, told=standing, teller=None)

    def _next(self, at: datetime, **changes: object) -> Report:
        return self.model_copy(update={**changes, "at": at, "version": self.version + 1})
