"""Repositories, and projects, which are repositories of that kind."""

from __future__ import annotations

from typing import Any

from trainyard.intake.permissions import readable_repository, require_scope
from trainyard.intake.repositories import NewRepository, create_repository, renew_webhook_secret
from trainyard.model.repository import Repository, RepositoryKind, Scope
from trainyard.web.errors import in_language
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, body, route


@route("POST", "/v1/repositories")
def add_repository(call: Call) -> Answer:
    return _created(call, body(call, NewRepository))


@route("POST", "/v1/projects")
def add_project(call: Call) -> Answer:
    wanted = body(call, NewRepository)
    return _created(call, wanted.model_copy(update={"kind": RepositoryKind.PROJECT}))


@route("GET", "/v1/repositories")
def list_repositories(call: Call) -> Answer:
    return _repositories(call, None)


@route("GET", "/v1/projects")
def list_projects(call: Call) -> Answer:
    return _repositories(call, RepositoryKind.PROJECT)


@route("GET", "/v1/repositories/{owner}/{name}")
@route("GET", "/v1/projects/{owner}/{name}")
def show_repository(call: Call) -> Answer:
    return Answer(200, _repository(readable_repository(call.state.table, call.repository, call.token)))


@route("POST", "/v1/projects/{owner}/{name}/webhook-secret")
def renew_secret(call: Call) -> Answer:
    made = renew_webhook_secret(call.state, call.repository, call.token, call.request.public_url)
    return Answer(200, {"webhook": {"address": made.webhook_address, "secret": made.webhook_secret}})


def _created(call: Call, wanted: NewRepository) -> Answer:
    made = create_repository(call.state, call.token, wanted, call.request.public_url)
    webhook = None
    if made.webhook_address:
        # Without a secret there is nothing to enter anywhere: the webhook was made with the host's token.
        webhook = {"address": made.webhook_address, "secret": made.webhook_secret or None, "note": made.note}
    return Answer(201, {"repository": _repository(made.repository), "webhook": in_language(webhook, call.language)})


def _repositories(call: Call, kind: RepositoryKind | None) -> Answer:
    user = require_scope(call.token, Scope.READ).user
    limit = call.list_limit
    page = call.state.table.repositories_of(user, limit, call.request.query.get("cursor"))
    rows = [_repository(row) for row in page.rows if kind in (None, row.kind)]
    return Answer(200, {"repositories" if kind is None else "projects": rows, "next_cursor": page.cursor})


def _repository(repository: Repository) -> dict[str, Any]:
    return repository.model_dump(mode="json", exclude={"api_url"})
