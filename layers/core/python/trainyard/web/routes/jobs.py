"""What a job asks for while it carries out a run. It comes with the token that it alone was given."""

from __future__ import annotations

from trainyard.model.settings import settings
from trainyard.submission.credentials import JobCredentials, issue_credentials
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, route


@route("POST", "/v1/runs/{run}/credentials", gives=JobCredentials, for_jobs=True)
def credentials(call: Call) -> Answer:
    """Credentials for a job, by the token that it was started with.

    They reach the run's own objects and its inputs, for an hour, while the run lasts.
    """
    authorization = call.request.headers.get("authorization")
    issued = issue_credentials(call.state, call.place["run"], authorization, settings().run_role)
    return Answer(200, issued.model_dump(mode="json"), {"cache-control": "no-store"})
