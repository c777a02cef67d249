"""Repositories, and projects, which are repositories of that kind."""

from __future__ import annotations

from trainyard.intake.permissions import readable_repository, require_scope
from trainyard.intake.repositories import NewRepository, create_repository, renew_webhook_secret
from trainyard.model.repository import RepositoryKind, Scope
from trainyard.web.errors import in_language
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import PAGED, Call, body, route
from trainyard.web.views import (
    MadeRepository,
    ProjectList,
    RenewedWebhook,
    RepositoryList,
    RepositoryView,
)
from trainyard.web.views import show_repository as view


@route("POST", "/v1/repositories", status=201, takes=NewRepository, gives=MadeRepository)
def add_repository(call: Call) -> Answer:
    return _created(call, body(call, NewRepository))


@route("POST", "/v1/projects", status=201, takes=NewRepository, gives=MadeRepository)
def add_project(call: Call) -> Answer:
    wanted = body(call, NewRepository)
    return _created(call, wanted.model_copy(update={"kind": RepositoryKind.PROJECT}))


@route("GET", "/v1/repositories", gives=RepositoryList, query=PAGED)
def list_repositories(call: Call) -> Answer:
    return _repositories(call, None)


@route("GET", "/v1/projects", gives=ProjectList, query=PAGED)
def list_projects(call: Call) -> Answer:
    return _repositories(call, RepositoryKind.PROJECT)


@route("GET", "/v1/repositories/{owner}/{name}", gives=RepositoryView)
@route("GET", "/v1/projects/{owner}/{name}", gives=RepositoryView)
def show_repository(call: Call) -> Answer:
    return Answer(200, view(readable_repository(call.state.table, call.repository, call.token)))


@route("POST", "/v1/projects/{owner}/{name}/webhook-secret", gives=RenewedWebhook)
def renew_secret(call: Call) -> Answer:
    made = renew_webhook_secret(call.state, call.repository, call.token, call.request.public_url)
    return Answer(200, {"webhook": {"address": made.webhook_address, "secret": made.webhook_secret}})


def _created(call: Call, wanted: NewRepository) -> Answer:
    made = create_repository(call.state, call.token, wanted, call.request.public_url)
    webhook = None
    if made.webhook_address:
        # Without a secret there is nothing to enter anywhere: the webhook was made with the host's token.
        webhook = {"address": made.webhook_address, "secret": made.webhook_secret or None, "note": made.note}
    return Answer(201, {"repository": view(made.repository), "webhook": in_language(webhook, call.language)})


def _repositories(call: Call, kind: RepositoryKind | None) -> Answer:
    user = require_scope(call.token, Scope.READ).user
    limit = call.list_limit
    page = call.state.table.repositories_of(user, limit, call.request.query.get("cursor"))
    rows = [view(row) for row in page.rows if kind in (None, row.kind)]
    return Answer(200, {"repositories" if kind is None else "projects": rows, "next_cursor": page.cursor})
