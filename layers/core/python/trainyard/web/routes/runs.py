"""Training runs: start, list, show, stop, run again, delete."""

from __future__ import annotations

import json
from typing import Any

from trainyard.intake.commands import delete_run, stop_run
from trainyard.intake.form import read_form
from trainyard.intake.permissions import readable_repository
from trainyard.intake.submissions import RunChanges, SubmitRun, rerun, submit_run
from trainyard.model.run import Origin, Run
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, body, route, with_key


@route("POST", "/v1/projects/{owner}/{name}/runs")
def start_run(call: Call) -> Answer:
    """JSON or a form. Where it came from is what we saw, whatever the body says."""
    if call.request.is_form:
        wanted = read_form(call.request.body)
    else:
        wanted = body(call, SubmitRun).model_copy(update={"origin": Origin.API})
    run = submit_run(call.state, call.repository, call.token, with_key(call, wanted))
    return Answer(201, show(run), {"location": f"/v1/runs/{run.id}"})


@route("GET", "/v1/projects/{owner}/{name}/runs")
def list_runs(call: Call) -> Answer:
    project = readable_repository(call.state.table, call.repository, call.token)
    limit = call.list_limit
    page = call.state.table.runs_of(project.full_name, limit, call.request.query.get("cursor"))
    return Answer(200, {"runs": [show(run) for run in page.rows], "next_cursor": page.cursor})


@route("GET", "/v1/runs/{run}")
def show_run(call: Call) -> Answer:
    return Answer(200, show(call.run()))


@route("POST", "/v1/runs/{run}/stop")
def stop(call: Call) -> Answer:
    return Answer(202, show(stop_run(call.state, call.place["run"], call.token)))


@route("POST", "/v1/runs/{run}/rerun")
def run_again(call: Call) -> Answer:
    run = rerun(call.state, call.place["run"], call.token, with_key(call, body(call, RunChanges)))
    return Answer(201, show(run), {"location": f"/v1/runs/{run.id}"})


@route("DELETE", "/v1/runs/{run}")
def delete(call: Call) -> Answer:
    delete_run(call.state, call.place["run"], call.token)
    return Answer(204)


def show(run: Run) -> dict[str, Any]:
    """A run as the API shows it: all but what is only ours."""
    # Through JSON, in which a figure that is not a number is the string "NaN".
    document = json.loads(run.model_dump_json(exclude={"claim", "nudges", "reporter", "reported", "deleted_at"}))
    return {**document, "final": run.state.is_final}
