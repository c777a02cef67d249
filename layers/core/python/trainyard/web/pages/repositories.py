"""Repositories: a new one for code, a model or data, and where its files go."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import ValidationError

from trainyard.hosts.registry import HOSTS
from trainyard.intake.budgets import set_budget
from trainyard.intake.permissions import require_scope
from trainyard.intake.problems import fields_of
from trainyard.intake.repositories import NewRepository, create_repository
from trainyard.model.budget import Budget
from trainyard.model.errors import UserError
from trainyard.model.repository import Repository, RepositoryKind, Scope, Visibility
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store.spending import spent_this_month
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
    return visit.page("repository.html", 201, repository=made.repository, webhook=made.webhook, spent=None)


@page("GET", "/repositories/{owner}/{name}")
def show_repository(visit: Visit) -> PageAnswer:
    repository = visit.repository()
    return _shown(visit, repository, _sums(repository.budget), {})


@page("POST", "/repositories/{owner}/{name}/budget")
def change_budget(visit: Visit) -> PageAnswer:
    repository = visit.repository()
    given = {name: value.strip() for name, value in fields(visit.request) if name in Budget.model_fields}
    try:
        budget = Budget.model_validate({name: _number(value) for name, value in given.items() if value})
    except ValidationError as error:
        return _shown(visit, repository, given, fields_of(error), 422)
    set_budget(visit.state, repository.full_name, visit.token, budget)
    return visit.redirect(f"/repositories/{repository.full_name}")


def _shown(
    visit: Visit, repository: Repository, given: dict[str, str], errors: dict[str, Text], status: int = 200
) -> PageAnswer:
    """What the budget is and what was spent of it, its own people see; who owns the project may change it."""
    inside = repository.kind is RepositoryKind.PROJECT and visit.may_command(repository)
    return visit.page(
        "repository.html",
        status,
        repository=repository,
        webhook=None,
        spent=spent_this_month(visit.state.table, repository.full_name, datetime.now(UTC)) if inside else None,
        may_change=repository.owner == visit.user,
        given={**_sums(None), **given},
        errors=errors,
    )


def _sums(budget: Budget | None) -> dict[str, str]:
    known = budget or Budget()
    return {name: "" if usd is None else f"{usd:.15g}" for name, usd in known}


def _number(text: str) -> float | str:
    """What was typed as a number; as it is where it is none, so that it is refused with the other faults."""
    try:
        return float(text)
    except ValueError:
        return text


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
