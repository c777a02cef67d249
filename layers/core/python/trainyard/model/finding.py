"""What a check has to say about a commit."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from trainyard.model.text import Text


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Finding(BaseModel):
    """One fault at one place, with what to write instead. A warning never stops a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    severity: Severity
    file: str
    """Path in the repository; empty where the finding is about the request itself."""
    line: int | None = None
    """From 1."""
    column: int | None = None
    """From 1."""
    field: str = ""
    """Dotted path in the run's description, such as `inputs.data_url.revision`, where that is at fault."""
    message: Text
    fix: Text
    url: str = ""


class FindingCount(BaseModel):
    """How many of each, kept on the run's row; the findings themselves lie in S3."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    errors: int = 0
    warnings: int = 0

    @classmethod
    def of(cls, findings: list[Finding]) -> FindingCount:
        errors = sum(finding.severity is Severity.ERROR for finding in findings)
        return cls(errors=errors, warnings=len(findings) - errors)
