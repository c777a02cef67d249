"""What a project may spend without being asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Strict: that `true` is a dollar nobody means.
_Sum = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, strict=True)]


class Budget(BaseModel):
    """What a project's runs may cost without anybody's approval, in US dollars; None: any sum."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_run_usd: _Sum | None = Field(None, description="Most that one run may cost.")
    per_month_usd: _Sum | None = Field(None, description="Most that all runs of a calendar month (UTC) may cost.")

    @property
    def limits_nothing(self) -> bool:
        return self.per_run_usd is None and self.per_month_usd is None
