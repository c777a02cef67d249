"""One commit status per state change, never out of order and never the same twice.

Events come late and twice; so it is not the event that is told but the run as it is now, if that was not told yet.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aws_lambda_powertools import Logger

from trainyard.hosts.contract import DESCRIPTION_LIMIT, CommitState, CommitStatus, HostRefusedError
from trainyard.hosts.registry import host
from trainyard.model import lifecycle
from trainyard.model.errors import UserError
from trainyard.model.report import NOBODY, Report
from trainyard.model.repository import Repository
from trainyard.model.run import FacetState, Run, RunState
from trainyard.model.settings import settings
from trainyard.store import State
from trainyard.store.secrets import host_token_name
from trainyard.store.table import TooManyConflictsError

logger = Logger()
# Longer than the function's own time limit: a claim that has run out belongs to a function that is dead.
LEASE = timedelta(seconds=90)
# States that a run can go through while one of its statuses is on its way.
_MOST_AT_ONCE = 5

_STATES = {
    RunState.REJECTED: CommitState.ERROR,
    RunState.FAILED: CommitState.FAILURE,
    RunState.STOPPED: CommitState.ERROR,
    RunState.TIMED_OUT: CommitState.FAILURE,
}


def report_run(state: State, run_id: str, token: str = "", at: datetime | None = None) -> None:
    """Tell the run's git host where it stands. Does nothing where there is nobody to tell or nothing new.

    `token` names this attempt, the event's message id for one. Two events of one run may be handled at the same time:
    whoever takes the report tells, looks at the run again, and goes on until that was told, too; the other leaves.

    Raises:
        HostUnavailableError, TooManyConflictsError: the event is to be delivered again.
    """
    report: Report | None = None
    addressee: tuple[Repository, str] | None = None
    for _ in range(_MOST_AT_ONCE):
        now = at or datetime.now(UTC)
        # In this order: the run is at least as new as what was told of it.
        report = report or state.table.report(run_id) or Report(run=run_id, at=now)
        run = state.table.run(run_id)
        if run is None or run.deleted_at is not None or run.evaluates is not None:
            return  # what an evaluation script finds is told with the run that it judges
        if report.told == run.standing:
            _settle(state, run, now)
            return
        if report.is_taken(token, now, LEASE):
            return
        addressee = addressee or _addressee(state, run)
        if addressee is None:
            _note_nobody(state, report, now)
            _settle(state, run, now)
            return
        report = _tell_once(state, report, run, addressee, token, now)
    raise TooManyConflictsError(run_id)


def _addressee(state: State, run: Run) -> tuple[Repository, str] | None:
    """Whose host is to be told, and the token for it; None where there is nobody."""
    repository = state.table.repository(run.project) if run.commit is not None else None
    secret = state.secrets.get(host_token_name(run.project)) if repository else None
    if repository is None or (not secret and host(repository.host).needs_token):
        return None
    return repository, secret or ""


def _tell_once(
    state: State, report: Report, run: Run, addressee: tuple[Repository, str], token: str, now: datetime
) -> Report | None:
    """Tell and note it. None if somebody else has begun to meanwhile, so that the report has to be read again."""
    taken = report.taken(token, now)
    if not state.table.put_report(taken):
        return None
    _tell(*addressee, run)
    noted = taken.noted(run.standing, now)
    return noted if state.table.put_report(noted) else None


def _note_nobody(state: State, report: Report, now: datetime) -> None:
    """Once for each run, so that the sweep does not take it for one of which the host was not told."""
    if report.told != NOBODY:
        state.table.put_report(report.noted(NOBODY, now))


def _settle(state: State, run: Run, now: datetime) -> None:
    if not run.is_settled:
        state.table.change_run(run.id, lambda known: lifecycle.end_told(known, now), run)


def _tell(repository: Repository, token: str, run: Run) -> None:
    try:
        host(repository.host).report_status(repository, token, status_of(run))
    except (HostRefusedError, UserError) as error:
        # It would be refused every time; the run goes on without its status.
        logger.warning("a commit status was refused", extra={"run_id": run.id, "reason": str(error)})


def status_of(run: Run) -> CommitStatus:
    """The run in one line for people who look at the commit."""
    assert run.commit is not None
    root = settings().public_url
    return CommitStatus(
        sha=run.commit,
        state=_commit_state(run),
        context=f"trainyard/{run.name}",
        description=_shortened(_description(run)),
        target_url=f"{root}/runs/{run.id}" if root else "",
    )


def _commit_state(run: Run) -> CommitState:
    if run.state is RunState.SUCCEEDED:
        # Until it is judged nobody knows whether it is good enough.
        if run.evaluation.state is FacetState.NONE:
            return CommitState.PENDING
        if run.evaluation.state is FacetState.FAILED:
            return CommitState.ERROR
        return CommitState.FAILURE if run.evaluation.verdict == "failed" else CommitState.SUCCESS
    return _STATES.get(run.state, CommitState.PENDING)


def _description(run: Run) -> str:
    found = _counted(run.findings.errors, "error"), _counted(run.findings.warnings, "warning")
    if run.state is RunState.REJECTED:
        return f"rejected: {', '.join(filter(None, found))}"
    if run.state is RunState.SUCCEEDED:
        return _verdict(run)
    words = run.state.value.replace("_", " ")
    if run.state is RunState.FAILED and run.failure is not None:
        return f"{words}: {run.failure.message.en}"
    if run.awaits_approval and run.approval is not None:
        return f"waits for approval: {run.approval.reason.en}"
    if run.attempt > 1 and not run.state.is_final:
        words += f" (attempt {run.attempt})"
    return f"{words}, {found[1]}" if found[1] and not run.state.is_final else words


def _verdict(run: Run) -> str:
    if run.evaluation.state is FacetState.NONE:
        return "trained, evaluation under way"
    if run.evaluation.state is FacetState.FAILED:
        return "trained, but the evaluation could not be made"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in run.evaluation.best.items())
    verdict = "succeeded" if run.evaluation.verdict == "not_required" else f"evaluation {run.evaluation.verdict}"
    return f"{verdict}: {figures}" if figures else verdict


def _counted(number: int, word: str) -> str:
    return "" if not number else f"{number} {word}" if number == 1 else f"{number} {word}s"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION_LIMIT else line[: DESCRIPTION_LIMIT - 1] + "…"
