"""One run: where it stands and why, its log, metrics, verdict, inputs and outputs; stop it, repeat it, delete it."""

from __future__ import annotations

import json
import secrets
from typing import Any

from trainyard.compute.registry import backend
from trainyard.evaluation.run import stored_evaluation, stored_metrics
from trainyard.intake.budgets import approve_run
from trainyard.intake.commands import delete_run, stop_run
from trainyard.intake.submissions import RunChanges, rerun
from trainyard.logs.live import LogPage, tail
from trainyard.model.catalogue import load_catalogue
from trainyard.model.finding import Finding
from trainyard.model.metric import Metrics
from trainyard.model.request import RunRequest
from trainyard.model.run import FacetState, Run, RunState
from trainyard.model.spec import MAX_CHILDREN
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError
from trainyard.tracking.waiting import why_waiting
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.csrf import fields
from trainyard.web.pages.live import live_metrics, settled
from trainyard.web.pages.plots import figures
from trainyard.web.pages.routing import Visit, page
from trainyard.web.pages.runs import branch_of, run_times
from trainyard.web.pages.shown import elapsed
from trainyard.web.parts import machines_of, trainings_of

LINES_SHOWN = 200
OUTPUTS_SHOWN = 50
TRAININGS_SHOWN = 50
_COUNTED = 1000


@page("GET", "/runs/{run}")
def show_run(visit: Visit) -> PageAnswer:
    run = visit.run()
    state, repository = visit.state, visit.state.table.repository(run.project)
    metrics = _metrics(state, run)
    evaluation = stored_evaluation(state.objects, run)
    outputs = _outputs(state, run, OUTPUTS_SHOWN + 1)
    started, ended = run_times(run)
    return visit.page(
        "run.html",
        run=run,
        once=secrets.token_urlsafe(),
        branch=branch_of(run),
        steps=_steps(run),
        took=elapsed(started, ended),
        waiting=why_waiting(run, backend),
        settled=settled(run),
        log=_log(state, run),
        figures=figures(metrics, visit.language),
        evaluation=evaluation,
        trainings=trainings_of(run, range(TRAININGS_SHOWN), evaluation),
        machines=machines_of(run),
        findings=_findings(state, run),
        request=_request(state, run),
        framework=load_catalogue().framework(run.spec.framework) if run.spec else None,
        flavor=load_catalogue().flavor(run.spec.flavor) if run.spec else None,
        bundle=settled(run) and state.objects.size(layout.bundle_key(run.id)) is not None,
        outputs=outputs[:OUTPUTS_SHOWN],
        more_outputs=len(outputs) > OUTPUTS_SHOWN,
        may_command=visit.may_command(repository),
        may_approve=visit.may_approve(repository),
    )


@page("GET", "/runs/{run}/children")
def show_trainings(visit: Visit) -> PageAnswer:
    """All trainings of a sweep, page after page."""
    run = visit.run()
    first = visit.request.number("from", 0, MAX_CHILDREN)
    count = run.spec.trainings if run.spec and run.spec.is_sweep else 0
    shown = range(first, min(first + TRAININGS_SHOWN, count))
    return visit.page(
        "children.html",
        run=run,
        trainings=trainings_of(run, shown, stored_evaluation(visit.state.objects, run)),
        before=max(first - TRAININGS_SHOWN, 0) if first else None,
        following=shown.stop if shown.stop < count else None,
    )


@page("POST", "/runs/{run}/stop")
def stop(visit: Visit) -> PageAnswer:
    run = stop_run(visit.state, visit.place["run"], visit.token)
    return visit.redirect(f"/runs/{run.id}")


@page("POST", "/runs/{run}/approve")
def approve(visit: Visit) -> PageAnswer:
    run = approve_run(visit.state, visit.place["run"], visit.token)
    return visit.redirect(f"/runs/{run.id}")


@page("POST", "/runs/{run}/rerun")
def run_again(visit: Visit) -> PageAnswer:
    """A page's button makes one run, however often it is pressed and the answer is lost."""
    once = dict(fields(visit.request)).get("once", "")[:100]
    run = rerun(visit.state, visit.place["run"], visit.token, RunChanges(idempotency_key=once or None))
    return visit.redirect(f"/runs/{run.id}")


@page("GET", "/runs/{run}/delete")
def ask_before_deleting(visit: Visit) -> PageAnswer:
    """What will be lost, before it is."""
    run = visit.run()
    outputs = _outputs(visit.state, run, _COUNTED)
    return visit.page(
        "delete.html",
        run=run,
        outputs=len(outputs),
        uncounted=len(outputs) == _COUNTED,
        output_bytes=sum(size for _, size in outputs),
    )


@page("POST", "/runs/{run}/delete")
def delete(visit: Visit) -> PageAnswer:
    run = visit.run()
    delete_run(visit.state, run.id, visit.token)
    return visit.redirect(f"/projects/{run.project}")


def _steps(run: Run) -> list[dict[str, Any]]:
    """The timeline, each step with how long it lasted; several attempts one after the other."""
    steps = []
    for number, step in enumerate(run.timeline):
        following = run.timeline[number + 1].at if number + 1 < len(run.timeline) else None
        lasted = None if step.state.is_final else elapsed(step.at, following)
        steps.append({"state": step.state, "attempt": step.attempt, "at": step.at, "lasted": lasted})
    return steps


def _log(state: State, run: Run) -> LogPage | None:
    """The end of the log; None for a run that never had one, as its trainings have their own."""
    if run.children is not None or run.state is RunState.REJECTED or run.reached(RunState.QUEUED) is None:
        return None
    return tail(state.objects, run.id, LINES_SHOWN)


def _metrics(state: State, run: Run) -> Metrics:
    if run.logs.state is FacetState.DONE:
        return stored_metrics(state.objects, run.id)
    return live_metrics(state.objects, run.id) if run.reached(RunState.RUNNING) else Metrics()


def _findings(state: State, run: Run) -> list[Finding]:
    if not run.findings.errors and not run.findings.warnings:
        return []
    try:
        document = json.loads(state.objects.get(layout.findings_key(run.id)))
    except ObjectMissingError:
        return []
    return [Finding.model_validate(one) for one in document["findings"]]


def _request(state: State, run: Run) -> RunRequest | None:
    """What it was pinned to; None before it was admitted."""
    if run.reached(RunState.ADMITTED) is None:
        return None
    try:
        return RunRequest.model_validate_json(state.objects.get(layout.request_key(run.id)))
    except ObjectMissingError:
        return None


def _outputs(state: State, run: Run, limit: int) -> list[tuple[str, int]]:
    """Paths and bytes of what the script left."""
    if run.reached(RunState.RUNNING) is None:
        return []
    prefix = layout.output_prefix(run.id)
    return [(one.key.removeprefix(prefix), one.size) for one in state.objects.find(prefix, None, limit)]
