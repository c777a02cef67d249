"""What a project may spend without being asked."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Budget(BaseModel):
    """What a project's runs may cost without anybody's approval, in US dollars; None: any sum."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_run_usd: float | None = Field(None, ge=0, allow_inf_nan=False, description="Most that one run may cost.")
    per_month_usd: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Most that all runs of a calendar month (UTC) may cost."
    )

    @property
    def limits_nothing(self) -> bool:
        return self.per_run_usd is None and self.per_month_usd is None
