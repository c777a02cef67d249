"""A dry run of validation: what a form asks about before anything is submitted."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from trainyard.model.finding import Finding
from trainyard.model.repository import FullName, Sha
from trainyard.model.spec import RunSpec


class Check(BaseModel):
    """The question. It is kept for a day; the answer lies in S3 under its id."""

    model_config = ConfigDict(extra="forbid")

    id: str
    project: FullName
    requested_by: str
    name: str = ""
    spec: RunSpec | None = None
    """None: only which files the commit holds."""
    ref: str | None = None
    commit: Sha | None = None
    form: list[tuple[str, str]] = []
    """The fields as they were filled in, so that a page without JavaScript can show them again."""
    requested_at: datetime
    answered_at: datetime | None = None
    nudges: int = 0
    """How often it was said again because nobody had answered."""


class CheckAnswer(BaseModel):
    """What validation would say of it now."""

    model_config = ConfigDict(extra="forbid")

    commit: Sha | None = None
    """What the ref meant; None where there is none."""
    findings: list[Finding] = []


class CommitListing(BaseModel):
    """Which folders and Python files a commit holds, for a form to choose from."""

    model_config = ConfigDict(extra="forbid")

    commit: Sha
    folders: list[str] = []
    """Those with Python files in them; the root is the empty string."""
    python_files: list[str] = []
    complete: bool = True
    """False where there were more than are listed."""
