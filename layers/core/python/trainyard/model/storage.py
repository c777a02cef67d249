"""What a repository stores, and what of it nothing refers to any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from trainyard.model.repository import FullName
from trainyard.model.text import Text

RECENT = timedelta(days=1)
"""An upload's push may be on its way for so long; what is younger is not called unreferenced.
Nor is an upload in parts called unfinished for so long after its last part."""
GRACE = timedelta(hours=1)
"""From an inspection to a removal. A push that was told before the inspection that an object is stored has its refs in
place by then; one that asks after it uploads the object again."""
MAX_LISTED = 5000
MAX_REMOVED = 1000


class StorageTask(BaseModel):
    """An inspection that an owner asked for, or a removal of what one showed. The row is kept for a day."""

    model_config = ConfigDict(extra="forbid")

    id: str
    repository: FullName
    requested_by: str
    requested_at: datetime
    remove: list[str] = []
    """Keys, all of the report's; none: only look."""
    answered_at: datetime | None = None
    nudges: int = 0
    """How often it was said again because nobody had carried it out."""


class StoredFile(BaseModel):
    """One object that nothing refers to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    size: int
    """Bytes."""
    modified: datetime


class LeftRun(BaseModel):
    """A run that was deleted while something kept its files from going with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    files: int
    bytes: int


class UnfinishedUpload(BaseModel):
    """An upload in parts that was begun and neither completed nor given up. Its parts are paid for like files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    upload: str
    """S3's id of it."""
    key: str
    """Of the object that it would have become."""
    size: int
    """Bytes that have arrived."""
    begun: datetime
    touched: datetime
    """When its last part arrived, or it was begun."""


class StorageReport(BaseModel):
    """What an inspection found: `storage/{repository}/report.json`. Objects listed in it are about to go: who needs one
    stores it again."""

    model_config = ConfigDict(extra="forbid")

    repository: FullName
    at: datetime
    """When it began: what was stored later is not in it."""
    files: int
    bytes: int
    recent: int
    """Unreferenced objects that are too young to be listed."""
    unreferenced: list[StoredFile] = []
    """At most 5,000, in the order of their keys."""
    unreferenced_bytes: int = 0
    complete: bool = True
    """False where there were more than are listed."""
    deleted_runs: list[LeftRun] = []
    """Of a project: deleted runs that left files."""
    unfinished_uploads: list[UnfinishedUpload] = []
    """At most 5,000, of the repository's files and of its runs that have ended: nobody has touched them
    for a day. Their parts are not in `bytes`."""
    uploads_under_way: int = 0
    """Others, which somebody may still finish."""
    removed: list[str] = []
    """Keys that went with the removal that this inspection belongs to."""
    removed_bytes: int = 0
    reason: Text
    """Why the listed ones count as unreferenced; or, where `failed`, why nothing could be found out."""
    failed: bool = False

    def lists(self, key: str, modified: datetime) -> bool:
        """Whether that object is one of the listed, and has not been stored again since."""
        return modified <= self.at and key in self.shown()

    def shown(self) -> frozenset[str]:
        return frozenset(each.key for each in self.unreferenced)


class RemoveUnreferenced(BaseModel):
    """Which of the objects that a report showed are to go."""

    model_config = ConfigDict(extra="forbid")

    report: datetime = Field(description="`at` of the report that was read.")
    keys: list[str] = Field([], max_length=MAX_REMOVED, description="Keys out of `unreferenced`.")
    runs: list[str] = Field([], max_length=MAX_REMOVED, description="Runs out of `deleted_runs`; they go at once.")
    uploads: list[str] = Field(
        [], max_length=MAX_REMOVED, description="`upload` of each out of `unfinished_uploads`; they go at once."
    )
