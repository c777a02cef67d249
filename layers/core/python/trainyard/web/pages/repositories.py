"""Repositories: a new one for code, a model or data, and where its files go."""

from __future__ import annotations

from pydantic import ValidationError

from trainyard.hosts.registry import HOSTS
from trainyard.intake.permissions import require_scope
from trainyard.intake.problems import fields_of
from trainyard.intake.repositories import NewRepository, create_repository
from trainyard.model.errors import UserError
from trainyard.model.repository import RepositoryKind, Scope, Visibility
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.csrf import fields
from trainyard.web.pages.routing import Visit, page

_FIELDS = ("name", "kind", "visibility", "description", "host", "clone_url", "host_token", "default_branch")


@page("GET", "/repositories/new")
def ask_for_repository(visit: Visit) -> PageAnswer:
    require_scope(visit.token, Scope.READ)
    kind = visit.request.query.get("kind", "project")
    return _form(visit, {"kind": kind if kind in tuple(RepositoryKind) else "project"}, {})


@page("POST", "/repositories/new")
def add_repository(visit: Visit) -> PageAnswer:
    given = {name: value.strip() for name, value in fields(visit.request) if name in _FIELDS}
    try:
        wanted = NewRepository.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        return _form(visit, given, fields_of(error), 422)
    try:
        made = create_repository(visit.state, visit.token, wanted, visit.request.public_url)
    except UserError as error:
        at = str(error.details.get("field", "name"))
        return _form(visit, given, {at: error.message}, 422)
    # Not a redirect: the webhook's secret is shown this once.
    return visit.page("repository.html", 201, repository=made.repository, webhook=made.webhook)


@page("GET", "/repositories/{owner}/{name}")
def show_repository(visit: Visit) -> PageAnswer:
    return visit.page("repository.html", repository=visit.repository(), webhook=None)


def _form(visit: Visit, given: dict[str, str], errors: dict[str, Text], status: int = 200) -> PageAnswer:
    return visit.page(
        "new_repository.html",
        status,
        given={**dict.fromkeys(_FIELDS, ""), "visibility": "private", **given, "host_token": ""},
        errors=errors,
        kinds=list(RepositoryKind),
        visibilities=list(Visibility),
        hosts=list(HOSTS),
        own_host=bool(settings().git_base_url),
    )
