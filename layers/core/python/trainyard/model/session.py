"""Somebody who is signed in at the pages."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Session(BaseModel):
    """A session as it is stored. It may do what its access token may, and ends when that does."""

    model_config = ConfigDict(extra="forbid")

    digest: str
    """SHA-256 of the secret in the browser's cookie."""
    token_digest: str
    user: str
    created_at: datetime
    expires_at: datetime
