"""What a job asks for while it carries out a run. It comes with the token that it alone was given."""

from __future__ import annotations

from trainyard.model.settings import settings
from trainyard.submission.credentials import JobCredentials, JobRegistryLogin, issue_credentials, registry_login
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


@route("POST", "/v1/runs/{run}/registry-login", gives=JobRegistryLogin, for_jobs=True)
def image_login(call: Call) -> Answer:
    """User and password that the run's project keeps for the registry of the run's image, while the run lasts."""
    given = registry_login(call.state, call.place["run"], call.request.headers.get("authorization"))
    return Answer(200, given.model_dump(mode="json"), {"cache-control": "no-store"})
