"""What a run may cost and did cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from builders import a_spec
from hypothesis import given
from hypothesis import strategies as st

from trainyard.model.budget import Budget
from trainyard.model.catalogue import load_catalogue
from trainyard.model.money import GRACE, amount, cost, estimate, needs_approval
from trainyard.model.spec import Machines

CPU = load_catalogue().flavor("cpu")
assert CPU is not None
PRICE = CPU.prices["us-east-1"].usd_per_hour


def test_at_most_all_attempts_to_their_time_limit() -> None:
    told = estimate(a_spec(timeout="2h", retries=1), CPU, "us-east-1")
    assert told is not None
    hours = (timedelta(hours=2) + GRACE).total_seconds() / 3600
    assert told.most_usd == pytest.approx(2 * hours * PRICE, abs=1e-4)
    assert (told.expected_usd, told.past_runs) == (None, 0)


def test_expected_is_the_median_of_the_past() -> None:
    told = estimate(a_spec(), CPU, "us-east-1", [3600, 60, 7200])
    assert told is not None
    assert told.expected_usd == pytest.approx(PRICE, abs=1e-4)
    assert told.past_runs == 3


def test_without_a_price_nothing_is_made_up() -> None:
    assert estimate(a_spec(), CPU, "mars-1") is None
    assert cost(a_spec(), CPU, "mars-1", 60).usd is None


def test_an_ascend_machines_price_is_no_region_of_aws() -> None:
    ascend = load_catalogue().flavor("ascend-910")
    assert ascend is not None
    assert estimate(a_spec(), ascend, "us-east-1") is None, "nobody knows it before the operator enters it"
    priced = ascend.model_copy(update={"prices": {"cn-north-4": CPU.prices["us-east-1"]}})
    told = estimate(a_spec(), priced, "eu-central-1")
    assert told is not None
    assert told.usd_per_hour == PRICE
    assert cost(a_spec(), priced, "us-east-1", 3600).usd == pytest.approx(PRICE, abs=1e-4)


def test_the_bill_of_spot_machines_is_a_bound() -> None:
    assert not cost(a_spec(), CPU, "us-east-1", 60).at_most
    assert cost(a_spec(machines=Machines.SPOT), CPU, "us-east-1", 60).at_most
    assert not cost(a_spec(machines=Machines.SPOT), CPU, "us-east-1", 0).at_most


@pytest.mark.parametrize(
    ("budget", "spent", "waits"),
    [
        (None, 1e9, False),
        (Budget(), 1e9, False),
        (Budget(per_run_usd=100), 0, False),
        (Budget(per_run_usd=1), 0, True),
        (Budget(per_run_usd=0), 0, True),
        (Budget(per_month_usd=100), 0, False),
        (Budget(per_month_usd=100), 99, True),
        (Budget(per_run_usd=100, per_month_usd=100), 99, True),
    ],
)
def test_over_the_budget_it_waits(budget: Budget | None, spent: float, waits: bool) -> None:
    told = estimate(a_spec(timeout="2h"), CPU, "us-east-1")
    reason = needs_approval(budget, told, spent)
    assert (reason is not None) == waits
    if reason is not None:
        assert "approve" in reason.en
        # Everybody may read this of a public project's run; the budget is its people's own.
        assert budget is not None
        for limit in (budget.per_run_usd, budget.per_month_usd):
            assert limit is None or f"{limit:.2f} USD" not in reason.en
        assert "批准" in reason.zh


def test_small_sums_keep_their_digits() -> None:
    assert [amount(usd) for usd in (0, 0.00123, 0.5, 1, 1234.567)] == ["0.00", "0.00123", "0.5", "1.00", "1234.57"]


def test_an_unknown_price_does_not_slip_through_a_budget() -> None:
    assert needs_approval(Budget(per_month_usd=1000), None, 0) is not None
    assert needs_approval(None, None, 0) is None


@given(st.floats(0, 1e7), st.integers(0, 9), st.floats(60, 1e6))
def test_what_a_run_costs_is_never_more_than_was_said(share: float, retries: int, seconds: float) -> None:
    spec: Any = a_spec(timeout=min(seconds, 1_200_000), retries=retries)
    told = estimate(spec, CPU, "us-east-1")
    assert told is not None
    longest = (spec.timeout + GRACE).total_seconds() * (retries + 1)
    real = cost(spec, CPU, "us-east-1", min(share, longest)).usd
    assert real is not None
    assert real <= told.most_usd
