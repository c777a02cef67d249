"""Exactly one job per run, although no backend takes a client token.

The run's id is the job's name. Whoever submits holds a claim on the run first, so two deliveries of one event never
submit at the same moment; and looks the name up where somebody may have held a claim before, so a submission whose
answer was lost is found.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from trainyard.compute.contract import ComputeBackend, JobRequest, SubmissionRefusedError
from trainyard.model import lifecycle
from trainyard.model.catalogue import Catalogue, Flavor, Framework, load_catalogue
from trainyard.model.run import FailureReason, Job, Run
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.submission.credentials import new_job_token

# Longer than the function's own time limit: a claim that has run out belongs to a function that is dead.
LEASE = timedelta(seconds=90)
PROMPT = timedelta(minutes=2)
"""Within these the first who claims a run is the first."""

Backends = Callable[[str], ComputeBackend]


class ClaimedElsewhereError(RuntimeError):
    """Another delivery of the same event is submitting this very run. The event is delivered again later."""


def submit_run(state: State, run_id: str, token: str, backends: Backends, now: datetime | None = None) -> Run | None:
    """Submit the run if it is admitted; do nothing otherwise. Returns the run afterwards, None if there is none.

    `token` names this attempt at submitting, the event's message id for one. ClaimedElsewhereError if another holds
    the claim.
    """
    at = now or datetime.now(UTC)
    secret, digest = new_job_token()
    claimed_before = False

    def claim(known: Run) -> Run:
        nonlocal claimed_before
        # A run that comes late may have been lost and made again, and may have had a job before that.
        claimed_before = known.claim is not None or at - known.created_at > PROMPT
        return lifecycle.claim_submission(known, token, at, LEASE, digest)

    run = state.table.change_run(run_id, claim)
    if run is None or not run.awaits_submission:
        return run
    if run.claim is None or run.claim.token != token:
        raise ClaimedElsewhereError(run_id)
    framework, flavor = _choice(run, load_catalogue())
    backend = backends(framework.backend)
    try:
        # Whoever is the first to claim it knows that there is no job; whoever may be another looks.
        job = _job_of(run, flavor, backend) if claimed_before else None
        job = job or _submit_unless_stopped(run, framework, flavor, backend, secret)
    except SubmissionRefusedError as refused:
        failure = FailureReason(kind="platform", message=refused.reason)
        return state.table.change_run(run_id, lambda known: lifecycle.fail_submission(known, failure, at), run)
    if job is None:
        return state.table.change_run(run_id, lambda known: lifecycle.stop_unsubmitted(known, token, at), run)
    submitted = state.table.change_run(run_id, lambda known: lifecycle.submitted(known, job, at), run)
    if submitted is not None and submitted.stop is not None and not submitted.state.is_final:
        # The wish came while the job was being submitted; its own event may have found no job yet.
        backend.stop(job, submitted.stop.reason)
    return submitted


def stop_run(state: State, run_id: str, token: str, backends: Backends, now: datetime | None = None) -> Run | None:
    """Carry a wish to stop to the job. Does nothing where none is wished or the run has ended."""
    run = state.table.run(run_id)
    if run is None or run.stop is None or run.state.is_final:
        return run
    if run.awaits_submission:
        # A submission was under way when the stop was asked for. Whether it made a job is found out like this.
        return submit_run(state, run_id, token, backends, now)
    framework, flavor = _choice(run, load_catalogue())
    backend = backends(framework.backend)
    job = run.job or _job_of(run, flavor, backend)
    if job is not None:
        backend.stop(job, run.stop.reason)
    return run


def _submit_unless_stopped(
    run: Run, framework: Framework, flavor: Flavor, backend: ComputeBackend, secret: str
) -> Job | None:
    if run.stop is not None:
        return None
    if run.spec is not None and run.spec.is_sweep and not backend.carries_sweeps:
        raise SubmissionRefusedError(_NO_SWEEPS)
    if run.spec is not None and run.spec.nodes > 1 and not backend.carries_nodes:
        raise SubmissionRefusedError(_NO_NODES)
    return backend.submit(_request(run, framework, flavor, secret))


_NO_SWEEPS = Text(
    en="This framework's machines take no sweeps. Give each hyperparameter one value, or choose another framework.",
    zh="该框架的计算资源不支持超参搜索。请为每个超参只填一个值，或选择其他框架。",
)

_NO_NODES = Text(
    en="This framework's machines take no run on several of them. Write `nodes: 1`, or choose another framework.",
    zh="该框架的计算资源不支持多机训练。请写 `nodes: 1`，或选择其他框架。",
)


def _request(run: Run, framework: Framework, flavor: Flavor, secret: str) -> JobRequest:
    assert run.spec is not None, "only a run with a spec is admitted"
    return JobRequest(
        run_id=run.id,
        owner=run.project.partition("/")[0],
        queue=flavor.queue_for(run.spec.nodes),
        job_definition=framework.job_definition_for(run.spec.nodes),
        instance=flavor.instance,
        version=framework.version,
        vcpus=flavor.vcpus,
        memory_mib=flavor.memory_mib,
        accelerators=flavor.accelerators,
        timeout=run.spec.timeout,
        retries=run.spec.retries,
        environment={"TRAINYARD_API": settings().public_url, "TRAINYARD_JOB_TOKEN": secret},
        machines=run.machines,
        priority=run.spec.priority,
        children=run.spec.trainings if run.spec.is_sweep else 0,
        nodes=run.spec.nodes,
    )


def _job_of(run: Run, flavor: Flavor, backend: ComputeBackend) -> Job | None:
    assert run.spec is not None, "only a run with a spec is admitted"
    return backend.find_by_name(run.id, flavor.queue_for(run.spec.nodes), run.machines)


def _choice(run: Run, catalogue: Catalogue) -> tuple[Framework, Flavor]:
    assert run.spec is not None, "only a run with a spec is admitted"
    framework, flavor = catalogue.ground(run.spec), catalogue.flavor(run.spec.flavor)
    assert framework is not None, "validation admits only frameworks of the catalogue"
    assert flavor is not None, "validation admits only flavors of the catalogue"
    return framework, flavor
