"""How a project signs in to a container registry."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

USER = r"^[!-9;-~]+$"
"""Printable, and without the colon that ends a user's name in a header: https://www.rfc-editor.org/rfc/rfc7617"""
PASSWORD = r"^[!-~](?:[ -~]*[!-~])?$"  # noqa: S105 - what one looks like
MAX_PASSWORD = 3000
"""Characters. A key of Google's is one, and a secret may have 4 KiB with all that is beside it."""
RegistryUser = Annotated[str, StringConstraints(pattern=USER, max_length=255)]
RegistryPassword = Annotated[str, StringConstraints(pattern=PASSWORD, max_length=MAX_PASSWORD)]


class RegistryLogin(BaseModel):
    """That there is one. The password lies among the secrets, never here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    registry: str
    """Host, and port where there is one; in lower case."""
    username: str
    token_host: str = ""
    """Host, and port, that gives out the registry's tokens, where it is neither the registry nor known to us."""
    created_by: str
    created_at: datetime


class RegistryCredentials(BaseModel):
    """What a registry is shown."""

    model_config = ConfigDict(frozen=True)

    username: RegistryUser
    password: RegistryPassword = Field(repr=False)
    token_host: str = ""
    """As in `RegistryLogin`."""
