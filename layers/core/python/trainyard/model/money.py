"""What a run may cost, what it did cost, and when somebody has to agree to it first. Pure.

Only machines are counted: they are nearly all of it. Prices are the list's, of the day that the catalogue names.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

from pydantic import BaseModel, ConfigDict

from trainyard.model.budget import Budget
from trainyard.model.catalogue import Flavor, Price
from trainyard.model.spec import Machines, RunSpec
from trainyard.model.text import Text

# Behind the script's own time limit, so that the runner has time to upload what the script left.
GRACE = timedelta(minutes=10)


class Estimate(BaseModel):
    """What a run may cost, in US dollars. A spot machine costs less; how much less nobody knows before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    usd_per_hour: float
    price_date: str
    """The day the price was read off."""
    most_usd: float
    """All attempts of all trainings on all their machines, each to its time limit."""
    expected_usd: float | None = None
    """The median of what the project's former runs of this name took on this flavor; None where there are none."""
    past_runs: int = 0


class Cost(BaseModel):
    """What a run did cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float
    """That machines worked for it, in all attempts. Waiting is free."""
    usd: float | None = None
    """None where the price of the region is not known."""
    at_most: bool = False
    """It may have run on spot machines: this is what on-demand ones would have cost."""


class Approval(BaseModel):
    """A run that costs more than its project's budget: nothing is submitted before somebody approves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Text
    by: str | None = None
    at: datetime | None = None

    @property
    def pending(self) -> bool:
        return self.by is None


def estimate(spec: RunSpec, flavor: Flavor, region: str, past_seconds: Sequence[float] = ()) -> Estimate | None:
    """None where the flavor has no price in that region."""
    price = flavor.price_in(region)
    if price is None:
        return None
    longest = (spec.timeout + GRACE).total_seconds() * (spec.retries + 1) * spec.machine_count
    return Estimate(
        region=region,
        usd_per_hour=price.usd_per_hour,
        price_date=price.date,
        most_usd=dollars(longest, price),
        expected_usd=dollars(median(past_seconds), price) if past_seconds else None,
        past_runs=len(past_seconds),
    )


def cost(spec: RunSpec, flavor: Flavor, region: str, seconds: float) -> Cost:
    price = flavor.price_in(region)
    usd = dollars(seconds, price) if price else None
    return Cost(seconds=seconds, usd=usd, at_most=spec.machines is not Machines.ON_DEMAND and seconds > 0)


def amount(usd: float) -> str:
    """With as many digits as a small sum needs."""
    return f"{usd:.2f}" if usd >= 1 or usd == 0 else f"{usd:.3g}"


def dollars(seconds: float, price: Price) -> float:
    return round(seconds / 3600 * price.usd_per_hour, 4)


def needs_approval(budget: Budget | None, of_run: Estimate | None, spent_usd: float) -> Text | None:
    """Why the run has to wait for somebody's approval, None if it need not.

    Whoever may read the run reads this; how large the budget is, its project's own people see at the project.

    `spent_usd`: what the project's runs of this month cost so far, those that have not ended at the most they may.
    """
    if budget is None or budget.limits_nothing:
        return None
    if of_run is None:
        return Text(
            en="Its cost is not known (no price for this flavor here) and the project has a budget. " + _APPROVE.en,
            zh="费用未知（此处没有该规格的价格），而项目设有预算。" + _APPROVE.zh,
        )
    most = amount(of_run.most_usd)
    if budget.per_run_usd is not None and of_run.most_usd > budget.per_run_usd:
        return Text(
            en=f"It may cost up to {most} USD, more than the project's budget for one run. {_APPROVE.en}",
            zh=f"费用最高可达 {most} 美元，超过项目单次训练预算。{_APPROVE.zh}",
        )
    if budget.per_month_usd is not None and spent_usd + of_run.most_usd > budget.per_month_usd:
        return Text(
            en=f"It may cost up to {most} USD, more than what is left of the project's budget of this month. "
            f"{_APPROVE.en}",
            zh=f"费用最高可达 {most} 美元，超过项目本月剩余预算。{_APPROVE.zh}",
        )
    return None


_APPROVE = Text(
    en="Its project's owner or an operator can approve it; a shorter timeout or a smaller flavor costs less.",
    zh="请项目所有者或管理员批准；缩短时限或换用更小的规格可降低费用。",
)
