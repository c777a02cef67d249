"""A push becomes runs: its commit is fetched and checked, and each run that it starts is admitted or rejected."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from trainyard.model.finding import Finding
from trainyard.model.ids import new_run_id
from trainyard.model.lifecycle import admit, reject
from trainyard.model.repository import Push, Repository, RepositoryKind
from trainyard.model.run import Origin, Run, RunState, Transition
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.table import MAX_RUNS_PER_PUSH
from trainyard.validation.checkout import Fetched, Unavailable, fetched_repository
from trainyard.validation.decision import Decision, Price, price_of, store_decision
from trainyard.validation.engine import CheckedCommit, check_commit, check_run
from trainyard.validation.fetch import fetch_history
from trainyard.validation.images.pinning import ImagePinner, registries_for
from trainyard.validation.inputs import pin_inputs
from trainyard.validation.listing import store_listing
from trainyard.validation.rules.fetching import CommitUnavailable
from trainyard.validation.rules.run_file import RunFileValue
from trainyard.validation.trigger import started_by
from trainyard.validation.view import Place, RunView

NAMELESS_RUN = "trainyard"
"""The name of the one rejected run of a commit whose run file cannot be read."""

CHECK_SECONDS = 180.0
"""For one push with all its runs. Short enough that the function has time to write down what it found."""


def validate_push(state: State, push_id: str, clock: Callable[[], float] = time.monotonic) -> list[Run]:
    """Check the push's commit and write all of its runs at once. Returns them; a second delivery changes nothing.

    `clock`: seconds. After CHECK_SECONDS no further run is begun to be checked; what is left is rejected.

    Raises:
        RemoteUnavailableError: the git host did not answer; deliver the event again.
        HostUnavailableError: the same of an image's registry.
    """
    ends_at = clock() + CHECK_SECONDS
    push = state.table.push(push_id)
    if push is None:
        return []
    if push.checked_at is not None:
        return _known_runs(state, push)
    repository = state.table.repository(push.repository)
    if repository is None or repository.kind is not RepositoryKind.PROJECT:
        return _finish(state, push, [])
    try:
        with fetched_repository(state, repository, push.commit) as fetched:
            return _finish(state, push, _decide(state, push, repository, fetched, lambda: clock() >= ends_at))
    except Unavailable as unavailable:
        decision = Decision(NAMELESS_RUN, [unavailable.finding])
        return _finish(state, push, [_record(state, push, repository, decision, None)])


def _decide(
    state: State, push: Push, repository: Repository, fetched: Fetched, is_over: Callable[[], bool]
) -> list[Run]:
    """The runs that the push starts, each with its objects written."""
    store_listing(state, push.repository, fetched.snapshot)
    checked = check_commit(fetched.snapshot)
    if not checked.run_file.runs:
        return [_record(state, push, repository, Decision(NAMELESS_RUN, checked.findings), None)]
    names = _started(push, fetched, checked)
    if len(names) > MAX_RUNS_PER_PUSH:
        decision = Decision(NAMELESS_RUN, [*checked.findings, _too_many(checked.run_file.path)])
        return [_record(state, push, repository, decision, None)]
    runs: list[Run] = []
    pinner = ImagePinner(registries_for(state, repository.full_name))
    for name in names:
        if is_over():
            decision = Decision(
                name, [*checked.findings, _too_large(checked.run_file.path)], checked.run_file.runs[name]
            )
        else:
            decision = _decision(state, repository, fetched, checked, name, pinner)
        committed = sum(run.estimate.most_usd for run in runs if run.estimate and not run.awaits_approval)
        runs.append(_record(state, push, repository, decision, fetched, committed))
    return runs


def _started(push: Push, fetched: Fetched, checked: CheckedCommit) -> list[str]:
    """The names of the runs that this push starts. Where it cannot be told which paths it touched, all count."""
    runs = checked.run_file.runs
    needs_paths = any(spec.on.push is not None and spec.on.push.paths is not None for spec in runs.values())
    changed: list[str] | None = None
    if needs_paths and push.before and fetch_history(fetched.database, fetched.address, push.before):
        changed = fetched.database.changed_paths(push.before, fetched.commit)
    return [name for name, spec in runs.items() if started_by(spec.on, push.ref, changed)]


def _decision(
    state: State, repository: Repository, fetched: Fetched, checked: CheckedCommit, name: str, pinner: ImagePinner
) -> Decision:
    view = RunView.of_file(fetched.snapshot, name, checked.run_file)
    # Nobody but the owner answers for a push: the pusher's name is only what a webhook says.
    pinning = pin_inputs(state, view, repository.owner)
    ground = pinner.pin(view)
    found = check_run(view.with_inputs(pinning.inputs))
    findings = [*checked.findings, *found, *pinning.findings, *ground.findings]
    return Decision(name, findings, ground.spec, pinning.inputs, ground.image)


def _record(
    state: State,
    push: Push,
    repository: Repository,
    decision: Decision,
    fetched: Fetched | None,
    committed: float = 0.0,
) -> Run:
    """The run as it will be stored, its objects written. `committed`: USD of the push's runs before it."""
    run_id = new_run_id(push.received_at, f"{push.id}:{decision.name}")
    code = fetched.code() if fetched is not None and decision.admitted else None
    store_decision(state, run_id, push.repository, decision, code)
    now = datetime.now(UTC)
    price = price_of(state, push.repository, decision, now, committed)
    return _run(push, repository, decision, run_id, price, now)


def _run(push: Push, repository: Repository, decision: Decision, run_id: str, price: Price, now: datetime) -> Run:
    requested = Run(
        id=run_id,
        name=decision.name,
        project=push.repository,
        origin=Origin.PUSH,
        requested_by=push.pusher or repository.owner,
        commit=push.commit,
        ref=push.ref,
        push_id=push.id,
        spec=decision.spec,
        timeline=[Transition(state=RunState.REQUESTED, attempt=0, at=push.received_at)],
        created_at=push.received_at,
        updated_at=push.received_at,
    )
    if decision.admitted:
        assert decision.spec is not None
        return admit(
            requested, decision.spec, push.commit, decision.count, now, estimate=price.estimate, hold=price.hold
        )
    return reject(requested, decision.count, now)


def _finish(state: State, push: Push, runs: list[Run]) -> list[Run]:
    checked = push.model_copy(update={"checked_at": datetime.now(UTC), "runs": [run.id for run in runs]})
    if state.table.finish_push(checked, runs):
        return runs
    stored = state.table.push(push.id)  # another delivery was quicker
    return _known_runs(state, stored) if stored is not None else []


def _known_runs(state: State, push: Push) -> list[Run]:
    return [run for run in map(state.table.run, push.runs) if run is not None]


def _too_large(path: str) -> Finding:
    return CommitUnavailable.finding(
        Place(path, 1, 1),
        Text(
            en=f"The commit is too large to check: after {CHECK_SECONDS:g} seconds this run had not had its turn.",
            zh=f"该提交过大，无法完成检查：{CHECK_SECONDS:g} 秒后仍未检查到此训练。",
        ),
        Text(
            en="Start fewer runs with one push (`on: {push: {branches: [...]}}`), and keep the scripts of each run few "
            "and short.",
            zh="请减少一次推送启动的训练（`on: {push: {branches: [...]}}`），并减少每个训练的脚本数量和长度。",
        ),
    )


def _too_many(path: str) -> Finding:
    return RunFileValue.finding(
        Place(path, 1, 1),
        Text(
            en=f"The push would start more than {MAX_RUNS_PER_PUSH} runs.",
            zh=f"此次推送会启动超过 {MAX_RUNS_PER_PUSH} 个训练。",
        ),
        Text(
            en="Limit some of them with `on: {push: {branches: [...]}}`.",
            zh="请用 `on: {push: {branches: [...]}}` 限制其中一些。",
        ),
    )
