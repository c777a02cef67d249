"""A run that was asked for by form or API, or asked for again, is checked and admitted or rejected."""

from __future__ import annotations

from datetime import UTC, datetime

from trainyard.model.lifecycle import admit, reject
from trainyard.model.run import Run, RunState
from trainyard.model.spec import RunSpec
from trainyard.store import State
from trainyard.validation.checkout import Fetched, Unavailable, fetched_repository
from trainyard.validation.decision import Decision, price_of, store_decision
from trainyard.validation.engine import check_repository, check_run
from trainyard.validation.images.pinning import ImagePinner, registries_for
from trainyard.validation.inputs import as_pinned_before, pin_inputs
from trainyard.validation.listing import store_listing
from trainyard.validation.rules.fetching import CommitUnavailable
from trainyard.validation.snapshot import Snapshot
from trainyard.validation.view import RunView


def validate_run(state: State, run_id: str) -> Run | None:
    """Check a run in state `requested` and decide on it. Returns it as it is afterwards, None if there is none.

    The run's commit counts if it has one, else its ref, else the default branch as it is now. A run that was stopped
    or decided on meanwhile stays as it is.

    Raises:
        RemoteUnavailableError: the git host did not answer; deliver the event again.
        HostUnavailableError: the same of an image's registry.
    """
    run = state.table.run(run_id)
    if run is None or run.state is not RunState.REQUESTED:
        return run
    repository = state.table.repository(run.project)
    if repository is None or run.spec is None:
        return _decide(state, run, Decision(run.name, [CommitUnavailable.unregistered()]), None)
    revision = run.commit or run.ref or repository.default_branch
    try:
        with fetched_repository(state, repository, revision) as fetched:
            return _decide(state, run, _check(state, run, run.spec, fetched), fetched)
    except Unavailable as unavailable:
        return _decide(state, run, Decision(run.name, [unavailable.finding], run.spec), None)


def check_request(
    state: State, snapshot: Snapshot, project: str, name: str, spec: RunSpec, asked: RunSpec, user: str
) -> Decision:
    """What is to be said of a run of `user` on that commit. `asked`: `spec` with the inputs that are to be pinned."""
    pinning = pin_inputs(state, RunView.of_request(snapshot, name, asked), user)
    view = RunView.of_request(snapshot, name, spec, pinning.inputs)
    ground = ImagePinner(registries_for(state, project)).pin(view)
    findings = [*check_repository(snapshot), *check_run(view), *pinning.findings, *ground.findings]
    return Decision(name, findings, ground.spec, pinning.inputs, ground.image)


def _check(state: State, run: Run, spec: RunSpec, fetched: Fetched) -> Decision:
    store_listing(state, run.project, fetched.snapshot)
    asked = as_pinned_before(state, spec, run.rerun_of) if run.rerun_of else spec
    return check_request(state, fetched.snapshot, run.project, run.name, spec, asked, run.requested_by)


def _decide(state: State, run: Run, decision: Decision, fetched: Fetched | None) -> Run | None:
    code = fetched.code() if fetched is not None and decision.admitted else None
    store_decision(state, run.id, run.project, decision, code)
    now = datetime.now(UTC)
    commit = fetched.commit if fetched is not None else None
    price = price_of(state, run.project, decision, now)

    def change(current: Run) -> Run:
        if decision.admitted:
            assert decision.spec is not None
            assert commit is not None
            return admit(current, decision.spec, commit, decision.count, now, estimate=price.estimate, hold=price.hold)
        return reject(current, decision.count, now, commit)

    return state.table.change_run(run.id, change)
