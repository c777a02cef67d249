"""Two events of one run at the same time: each state is told once, the newest last."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import NOW, a_repository, a_run

from trainyard.hosts.contract import CommitStatus, HostUnavailableError
from trainyard.model.lifecycle import JobPhase, Observation, observe
from trainyard.model.run import RunState
from trainyard.reporting import statuses
from trainyard.reporting.statuses import LEASE, report_run
from trainyard.store import State
from trainyard.store.secrets import host_token_name


class StandInHost:
    """Keeps what it was told; `meanwhile` happens while a status is on its way."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def report_status(self, _repository: object, _token: str, status: CommitStatus) -> None:
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        self.told.append(status.description)


@pytest.fixture
def host(state: State, monkeypatch: pytest.MonkeyPatch) -> StandInHost:
    made = StandInHost()
    monkeypatch.setattr(statuses, "host", lambda _name: made)
    state.table.create_repository(a_repository())
    state.secrets.put(host_token_name("demo/lenet5"), "secret")
    state.table.create_run(a_run(state=RunState.QUEUED, attempt=1))
    return made


def move(state: State, phase: JobPhase) -> None:
    seen = Observation(job_id="job-1", attempt=1, phase=phase, at=NOW)
    state.table.change_run("run-1", lambda run: observe(run, seen))


def test_a_second_event_leaves_it_to_the_first(state: State, host: StandInHost) -> None:
    def another_event() -> None:
        move(state, JobPhase.RUNNING)
        report_run(state, "run-1", "two", NOW)

    host.meanwhile = another_event
    report_run(state, "run-1", "one", NOW)
    assert host.told == ["queued", "running"]
    report_run(state, "run-1", "two", NOW)
    assert host.told == ["queued", "running"]


def test_the_same_event_again_goes_on_where_it_failed(state: State, host: StandInHost) -> None:
    def unavailable() -> None:
        raise HostUnavailableError("away")

    host.meanwhile = unavailable
    with pytest.raises(HostUnavailableError):
        report_run(state, "run-1", "one", NOW)
    report_run(state, "run-1", "one", NOW)
    assert host.told == ["queued"]


def test_the_claim_of_a_dead_function_runs_out(state: State, host: StandInHost) -> None:
    def dies() -> None:
        raise KeyboardInterrupt

    host.meanwhile = dies
    with pytest.raises(KeyboardInterrupt):
        report_run(state, "run-1", "one", NOW)
    report_run(state, "run-1", "two", NOW)
    assert host.told == []
    report_run(state, "run-1", "two", NOW + LEASE)
    assert host.told == ["queued"]
