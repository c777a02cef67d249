"""A project's money: asked before, bounded, approved by who may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from unit.intake.conftest import NOW
from unit.intake.test_submissions import SHA, wanted

from trainyard.intake.budgets import approve_run, quote, set_budget
from trainyard.intake.commands import stop_run
from trainyard.intake.submissions import submit_run
from trainyard.model import lifecycle
from trainyard.model.budget import Budget
from trainyard.model.errors import Conflict, Forbidden, NotFound
from trainyard.model.event_name import EventName
from trainyard.model.events import run_event_name
from trainyard.model.finding import FindingCount
from trainyard.model.money import Cost
from trainyard.model.repository import AccessToken, Repository, Scope
from trainyard.model.run import Run, RunState
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.spending import estimate_of, hold_of, spent_this_month


@pytest.fixture
def operator(state: State) -> AccessToken:
    return issue_token(state.table, "root", [Scope.OPERATE])[1]


def admitted(state: State, run: Run) -> Run:
    assert run.spec is not None
    spec = run.spec
    repository = state.table.repository(run.project)
    assert repository is not None
    estimate = estimate_of(state.table, run.project, run.name, spec)
    hold = hold_of(state.table, run.project, repository.budget, estimate, NOW)

    def admit(known: Run) -> Run:
        return lifecycle.admit(known, spec, SHA, FindingCount(), NOW, estimate=estimate, hold=hold)

    changed = state.table.change_run(run.id, admit)
    assert changed is not None
    return changed


def ended(state: State, run: Run, seconds: float, usd: float) -> None:
    change = {"state": RunState.SUCCEEDED, "cost": Cost(seconds=seconds, usd=usd)}
    state.table.change_run(run.id, lambda known: known.model_copy(update=change))


def test_a_run_shows_its_price_when_it_is_asked_for(state: State, project: Repository, ada: AccessToken) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    assert run.estimate is not None
    assert run.estimate.most_usd > 12  # a day of a machine
    ended(state, run, 3600, 0.5)
    again = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    assert again.estimate is not None
    assert again.estimate.past_runs == 1
    assert again.estimate.expected_usd == pytest.approx(0.5292)


def test_a_quotation_starts_nothing(state: State, project: Repository, ada: AccessToken) -> None:
    set_budget(state, "ada/lenet5", ada, Budget(per_run_usd=1))
    told = quote(state, "ada/lenet5", ada, wanted(), NOW)
    assert told.needs_approval is not None
    assert told.estimate is not None
    assert state.table.runs_of("ada/lenet5").rows == []


def test_over_budget_a_run_waits_until_its_owner_approves(state: State, project: Repository, ada: AccessToken) -> None:
    set_budget(state, "ada/lenet5", ada, Budget(per_run_usd=1))
    run = admitted(state, submit_run(state, "ada/lenet5", ada, wanted(), NOW))
    assert run.awaits_approval
    assert not run.awaits_submission
    assert run.waiting is not None
    assert "approve" in run.waiting.en
    approved = approve_run(state, run.id, ada, NOW)
    assert approved.awaits_submission
    assert approved.waiting is None
    assert run_event_name(run, approved) is EventName.RUN_ADMITTED
    assert approve_run(state, run.id, ada, NOW) == approved


def test_who_decides_about_money(
    state: State, project: Repository, ada: AccessToken, stranger: AccessToken, operator: AccessToken
) -> None:
    state.table.change_repository("ada/lenet5", lambda known: known.model_copy(update={"members": ["eve", "root"]}))
    set_budget(state, "ada/lenet5", ada, Budget(per_run_usd=1))
    run = admitted(state, submit_run(state, "ada/lenet5", ada, wanted(), NOW))
    with pytest.raises(Forbidden):
        set_budget(state, "ada/lenet5", stranger, Budget(per_run_usd=9))
    with pytest.raises(Forbidden):
        approve_run(state, run.id, stranger)
    assert approve_run(state, run.id, operator).awaits_submission
    state.table.change_repository("ada/lenet5", lambda known: known.model_copy(update={"members": []}))
    with pytest.raises(NotFound):
        approve_run(state, run.id, stranger)


def test_what_does_not_wait_cannot_be_approved(state: State, project: Repository, ada: AccessToken) -> None:
    run = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    with pytest.raises(Conflict):
        approve_run(state, run.id, ada)
    set_budget(state, "ada/lenet5", ada, Budget(per_run_usd=1))
    held = admitted(state, submit_run(state, "ada/lenet5", ada, wanted(), NOW))
    assert stop_run(state, held.id, ada, NOW).state is RunState.STOPPED
    with pytest.raises(Conflict):
        approve_run(state, held.id, ada)


def test_a_month_s_sum(state: State, project: Repository, ada: AccessToken) -> None:
    before = submit_run(state, "ada/lenet5", ada, wanted(), NOW - timedelta(days=3))
    ended(state, before, 10, 100.0)  # of December
    done = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    ended(state, done, 10, 2.5)
    gone = submit_run(state, "ada/lenet5", ada, wanted(), NOW)
    ended(state, gone, 10, 1.25)
    state.table.change_run(gone.id, lambda known: lifecycle.mark_deleted(known, NOW))
    submit_run(state, "ada/lenet5", ada, wanted(), NOW)  # not checked yet: nothing is owed
    running = admitted(state, submit_run(state, "ada/lenet5", ada, wanted(), NOW))
    assert running.estimate is not None
    spent = spent_this_month(state.table, "ada/lenet5", NOW)
    assert spent == pytest.approx(3.75 + running.estimate.most_usd)
    set_budget(state, "ada/lenet5", ada, Budget(per_month_usd=spent + 1))
    assert admitted(state, submit_run(state, "ada/lenet5", ada, wanted(), NOW)).awaits_approval


def test_an_empty_budget_is_none(state: State, project: Repository, ada: AccessToken) -> None:
    set_budget(state, "ada/lenet5", ada, Budget(per_run_usd=1))
    assert set_budget(state, "ada/lenet5", ada, Budget()).budget is None
