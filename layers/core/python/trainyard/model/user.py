"""Users: a name that somebody has, and who that is where a provider of OpenID Connect vouches for it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from trainyard.model.repository import UserName


class User(BaseModel):
    """A name that is taken. Names that differ only in capitals are one and the same name."""

    model_config = ConfigDict(extra="forbid")

    name: UserName
    identity: str = ""
    """Digest of the identity that it is bound to; empty for a name that was given with an access token."""
    created_at: datetime


class Identity(BaseModel):
    """Somebody whom a provider vouches for, and the user that this is here, for good."""

    model_config = ConfigDict(extra="forbid")

    digest: str
    """SHA-256 of issuer and subject: who somebody is, whatever else is said of them."""
    issuer: str
    subject: str
    user: UserName
    created_at: datetime
