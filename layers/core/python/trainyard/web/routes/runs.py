"""Training runs: start, list, show, stop, run again, delete."""

from __future__ import annotations

from trainyard.compute.registry import backend
from trainyard.intake.budgets import Quotation, approve_run, quote
from trainyard.intake.commands import delete_run, stop_run
from trainyard.intake.form import read_form
from trainyard.intake.permissions import readable_repository
from trainyard.intake.submissions import RunChanges, SubmitRun, rerun, submit_run
from trainyard.model.run import Origin
from trainyard.tracking.waiting import why_waiting
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import PAGED, WAIT, Call, body, route, with_key
from trainyard.web.views import RunList, RunView, Waiting
from trainyard.web.views import show_run as view


@route("POST", "/v1/projects/{owner}/{name}/runs", status=201, takes=SubmitRun, gives=RunView, form=True)
def start_run(call: Call) -> Answer:
    """JSON or a form. Where it came from is what we saw, whatever the body says."""
    if call.request.is_form:
        wanted = read_form(call.request.body)
    else:
        wanted = body(call, SubmitRun).model_copy(update={"origin": Origin.API})
    run = submit_run(call.state, call.repository, call.token, with_key(call, wanted))
    return Answer(201, view(run), {"location": f"/v1/runs/{run.id}"})


@route("POST", "/v1/projects/{owner}/{name}/estimate", takes=SubmitRun, gives=Quotation, form=True)
def estimate_run(call: Call) -> Answer:
    """What a run would cost, and whether it would have to wait for approval. Nothing is started.

    The body is that of a run to be started.
    """
    wanted = read_form(call.request.body) if call.request.is_form else body(call, SubmitRun)
    return Answer(200, quote(call.state, call.repository, call.token, wanted).model_dump(mode="json"))


@route("GET", "/v1/projects/{owner}/{name}/runs", gives=RunList, query=PAGED)
def list_runs(call: Call) -> Answer:
    project = readable_repository(call.state.table, call.repository, call.token)
    limit = call.list_limit
    page = call.state.table.runs_of(project.full_name, limit, call.request.query.get("cursor"))
    return Answer(200, {"runs": [view(run) for run in page.rows], "next_cursor": page.cursor})


@route("GET", "/v1/runs/{run}", gives=RunView, query=(WAIT,))
def show_run(call: Call) -> Answer:
    return Answer(200, view(call.run()))


@route("GET", "/v1/runs/{run}/waiting", gives=Waiting)
def explain_waiting(call: Call) -> Answer:
    """Why the run is not running yet, and what would change that, asked of the queue at this moment."""
    run = call.run()
    told = why_waiting(run, backend)
    return Answer(200, {"state": run.state.value, "waiting": told.model_dump() if told else None})


@route("POST", "/v1/runs/{run}/stop", status=202, gives=RunView)
def stop(call: Call) -> Answer:
    return Answer(202, view(stop_run(call.state, call.place["run"], call.token)))


@route("POST", "/v1/runs/{run}/approve", gives=RunView)
def approve(call: Call) -> Answer:
    """Agree to what a run costs that is over its project's budget; for the project's owner and for operators."""
    return Answer(200, view(approve_run(call.state, call.place["run"], call.token)))


@route("POST", "/v1/runs/{run}/rerun", status=201, takes=RunChanges, gives=RunView)
def run_again(call: Call) -> Answer:
    run = rerun(call.state, call.place["run"], call.token, with_key(call, body(call, RunChanges)))
    return Answer(201, view(run), {"location": f"/v1/runs/{run.id}"})


@route("DELETE", "/v1/runs/{run}", status=204)
def delete(call: Call) -> Answer:
    delete_run(call.state, call.place["run"], call.token)
    return Answer(204)
