"""Repositories, and projects, which are repositories of that kind."""

from __future__ import annotations

from typing import Any

from trainyard.intake.budgets import set_budget
from trainyard.intake.lists import Wanted, public_repositories, repositories_of_user
from trainyard.intake.ownership import RepositoryChanges, add_member, change_repository, remove_member
from trainyard.intake.permissions import readable_repository, require_scope
from trainyard.intake.problems import checked_user
from trainyard.intake.removal import remove_repository
from trainyard.intake.repositories import NewRepository, create_repository, renew_webhook_secret
from trainyard.intake.storage import ask_for_inspection, ask_for_removal, last_report
from trainyard.intake.webhooks import Webhook
from trainyard.model.budget import Budget
from trainyard.model.errors import InvalidInput
from trainyard.model.repository import RepositoryKind, Scope, Visibility
from trainyard.model.storage import RemoveUnreferenced, StorageTask
from trainyard.model.text import Text
from trainyard.web.errors import in_language
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import PAGED, Call, Parameter, body, route
from trainyard.web.views import (
    MadeRepository,
    ProjectList,
    Removal,
    RenewedWebhook,
    RepositoryList,
    RepositoryView,
    StorageAsked,
    StorageView,
)
from trainyard.web.views import show_repository as view

_CONFIRM = Parameter("confirm", "OWNER/NAME once more. Without it nothing happens, and the error says what would go.")

_FOUND = (
    Parameter("visibility", "`public`: everybody's public ones, for which nobody has to sign in; left out: yours."),
    Parameter("search", "Words, all of which are in the name. A page may then hold less than `limit`, or nothing."),
    *PAGED,
)


@route("POST", "/v1/repositories", status=201, takes=NewRepository, gives=MadeRepository)
def add_repository(call: Call) -> Answer:
    return _created(call, body(call, NewRepository))


@route("POST", "/v1/projects", status=201, takes=NewRepository, gives=MadeRepository)
def add_project(call: Call) -> Answer:
    wanted = body(call, NewRepository)
    return _created(call, wanted.model_copy(update={"kind": RepositoryKind.PROJECT}))


@route("GET", "/v1/repositories", gives=RepositoryList, query=_FOUND)
def list_repositories(call: Call) -> Answer:
    """Yours, then those that are shared with you; or the public ones."""
    return _repositories(call, None)


@route("GET", "/v1/projects", gives=ProjectList, query=_FOUND)
def list_projects(call: Call) -> Answer:
    """Yours, then those that are shared with you; or the public ones."""
    return _repositories(call, RepositoryKind.PROJECT)


@route("GET", "/v1/repositories/{owner}/{name}", gives=RepositoryView)
@route("GET", "/v1/projects/{owner}/{name}", gives=RepositoryView)
def show_repository(call: Call) -> Answer:
    return Answer(200, view(readable_repository(call.state.table, call.repository, call.token), call.token))


@route("PATCH", "/v1/repositories/{owner}/{name}", takes=RepositoryChanges, gives=RepositoryView)
@route("PATCH", "/v1/projects/{owner}/{name}", takes=RepositoryChanges, gives=RepositoryView)
def edit_repository(call: Call) -> Answer:
    changed = change_repository(call.state, call.repository, call.token, body(call, RepositoryChanges))
    return Answer(200, view(changed, call.token))


@route("DELETE", "/v1/repositories/{owner}/{name}", gives=Removal, query=(_CONFIRM,))
@route("DELETE", "/v1/projects/{owner}/{name}", gives=Removal, query=(_CONFIRM,))
def delete_repository(call: Call) -> Answer:
    """Remove it with its runs and stored files. What lies on a git host of its own stays there, without its webhook."""
    request = call.request
    confirmed = request.query.get("confirm", "")
    removed = remove_repository(call.state, call.repository, call.token, confirmed, request.public_url)
    return Answer(200, in_language({"finished": removed.finished, "stays": removed.stays}, call.language))


@route("PUT", "/v1/repositories/{owner}/{name}/members/{user}", gives=RepositoryView)
def put_member(call: Call) -> Answer:
    user = checked_user(call.place["user"])
    return Answer(200, view(add_member(call.state, call.repository, user, call.token), call.token))


@route("DELETE", "/v1/repositories/{owner}/{name}/members/{user}", status=204)
def delete_member(call: Call) -> Answer:
    remove_member(call.state, call.repository, call.place["user"], call.token)
    return Answer(204)


@route("PUT", "/v1/projects/{owner}/{name}/budget", takes=Budget, gives=RepositoryView)
def change_budget(call: Call) -> Answer:
    """What the project's runs may cost without anybody's approval; an empty budget is none."""
    changed = set_budget(call.state, call.repository, call.token, body(call, Budget))
    return Answer(200, view(changed, call.token))


@route("GET", "/v1/repositories/{owner}/{name}/storage", gives=StorageView)
def show_storage(call: Call) -> Answer:
    """What the last inspection found, for the owner; `report` is null before the first."""
    report = last_report(call.state, call.repository, call.token)
    shown = report.model_dump(mode="json") if report is not None else None
    return Answer(200, {"report": shown})


@route("POST", "/v1/repositories/{owner}/{name}/storage/inspect", status=202, gives=StorageAsked)
def inspect_storage(call: Call) -> Answer:
    """Find out which stored files nothing refers to any more. The report appears when it is done."""
    return _asked(ask_for_inspection(call.state, call.repository, call.token))


@route(
    "POST",
    "/v1/repositories/{owner}/{name}/storage/remove-unreferenced",
    status=202,
    takes=RemoveUnreferenced,
    gives=StorageAsked,
)
def remove_unreferenced(call: Call) -> Answer:
    """Remove files that the last report shows, an hour after it at the earliest. The next report says what went."""
    return _asked(ask_for_removal(call.state, call.repository, call.token, body(call, RemoveUnreferenced)))


@route("POST", "/v1/projects/{owner}/{name}/webhook-secret", gives=RenewedWebhook)
def renew_secret(call: Call) -> Answer:
    made = renew_webhook_secret(call.state, call.repository, call.token, call.request.public_url)
    return Answer(200, {"webhook": {"address": made.address, "secret": made.secret}})


def _asked(task: StorageTask) -> Answer:
    return Answer(202, StorageAsked(asked_at=task.requested_at).model_dump(mode="json"))


def _created(call: Call, wanted: NewRepository) -> Answer:
    made = create_repository(call.state, call.token, wanted, call.request.public_url)
    answer = {"repository": view(made.repository, call.token), "webhook": _webhook(call, made.webhook)}
    return Answer(201 if made.is_new else 200, answer)


def _webhook(call: Call, webhook: Webhook | None) -> Any:
    """Without a secret there is nothing to enter anywhere: the webhook was made with the host's token."""
    if webhook is None:
        return None
    shown = {"address": webhook.address, "secret": webhook.secret or None, "note": webhook.note}
    return in_language(shown, call.language)


def _repositories(call: Call, kind: RepositoryKind | None) -> Answer:
    query, table = call.request.query, call.state.table
    wanted = Wanted(kind, query.get("search", ""))
    match query.get("visibility"):
        case None:
            user = require_scope(call.token, Scope.READ).user
            page = repositories_of_user(table, user, wanted, call.list_limit, query.get("cursor"))
        case Visibility.PUBLIC:
            page = public_repositories(table, wanted, call.list_limit, query.get("cursor"))
        case _:
            raise InvalidInput(
                Text(en="Write `visibility=public`, or leave it out.", zh="请填写 `visibility=public`，或去掉此参数。"),
                details={"field": "visibility"},
            )
    rows = [view(row, call.token) for row in page.rows]
    return Answer(200, {"repositories" if kind is None else "projects": rows, "next_cursor": page.cursor})
