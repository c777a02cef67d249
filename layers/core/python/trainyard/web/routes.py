"""Every route of the API, one short function each. `GET /v1` lists them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from trainyard.intake.commands import delete_run, stop_run
from trainyard.intake.form import read_form
from trainyard.intake.permissions import readable_repository, readable_run, require_scope
from trainyard.intake.problems import invalid_input
from trainyard.intake.repositories import NewRepository, create_repository, renew_webhook_secret
from trainyard.intake.submissions import RunChanges, SubmitRun, rerun, submit_run
from trainyard.logs.live import read_lines, read_log, tail
from trainyard.model.catalogue import load_catalogue
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.repository import AccessToken, Repository, RepositoryKind, Scope
from trainyard.model.run import Origin, Run
from trainyard.model.text import Language, Text
from trainyard.store import State, layout
from trainyard.store.access import issue_token
from trainyard.store.objects import ObjectMissingError
from trainyard.web.errors import in_language
from trainyard.web.messages import MAX_ANSWER_BYTES, Answer, Request, preferred_language

LARGEST_LIST = 200
_DEFAULT_LIST = 50
_DEFAULT_LOG_BYTES = 65536
_LARGEST_LOG_BYTES = 1 << 20
_MAX_LINES = 10_000
_MOST_OUTPUTS = 1000
Model = TypeVar("Model", bound=BaseModel)
Asked = TypeVar("Asked", SubmitRun, RunChanges)


@dataclass(frozen=True)
class Call:
    """One call of a route."""

    state: State
    token: AccessToken | None
    request: Request
    place: dict[str, str]
    """The variable parts of the path."""

    @property
    def repository(self) -> str:
        return f"{self.place['owner']}/{self.place['name']}"

    @property
    def language(self) -> Language:
        return preferred_language(self.request.headers)

    def run(self) -> Run:
        return readable_run(self.state.table, self.place["run"], self.token)


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    pattern: re.Pattern[str]
    act: Callable[[Call], Answer]


ROUTES: list[Route] = []


def _route(method: str, path: str) -> Callable[[Callable[[Call], Answer]], Callable[[Call], Answer]]:
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

    def register(act: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        ROUTES.append(Route(method, path, pattern, act))
        return act

    return register


@_route("GET", "/v1")
def list_routes(_call: Call) -> Answer:
    return Answer(200, {"routes": [f"{route.method} {route.path}" for route in ROUTES]})


@_route("GET", "/v1/catalog")
def show_catalogue(_call: Call) -> Answer:
    return Answer(200, load_catalogue().model_dump(mode="json"))


@_route("GET", "/v1/user")
def show_user(call: Call) -> Answer:
    token = require_scope(call.token, Scope.READ)
    return Answer(200, {"user": token.user, "scopes": token.scopes, "expires_at": _time(token.expires_at)})


# Repositories and projects: a project is a repository of that kind.


@_route("POST", "/v1/repositories")
def add_repository(call: Call) -> Answer:
    return _created(call, _body(call, NewRepository))


@_route("POST", "/v1/projects")
def add_project(call: Call) -> Answer:
    wanted = _body(call, NewRepository)
    return _created(call, wanted.model_copy(update={"kind": RepositoryKind.PROJECT}))


@_route("GET", "/v1/repositories")
def list_repositories(call: Call) -> Answer:
    return _repositories(call, None)


@_route("GET", "/v1/projects")
def list_projects(call: Call) -> Answer:
    return _repositories(call, RepositoryKind.PROJECT)


@_route("GET", "/v1/repositories/{owner}/{name}")
@_route("GET", "/v1/projects/{owner}/{name}")
def show_repository(call: Call) -> Answer:
    return Answer(200, _repository(readable_repository(call.state.table, call.repository, call.token)))


@_route("POST", "/v1/projects/{owner}/{name}/webhook-secret")
def renew_secret(call: Call) -> Answer:
    made = renew_webhook_secret(call.state, call.repository, call.token, call.request.public_url)
    return Answer(200, {"webhook": {"address": made.webhook_address, "secret": made.webhook_secret}})


# Runs


@_route("POST", "/v1/projects/{owner}/{name}/runs")
def start_run(call: Call) -> Answer:
    """JSON or a form. Where it came from is what we saw, whatever the body says."""
    if call.request.is_form:
        wanted = read_form(call.request.body)
    else:
        wanted = _body(call, SubmitRun).model_copy(update={"origin": Origin.API})
    run = submit_run(call.state, call.repository, call.token, _with_key(call, wanted))
    return Answer(201, show(run), {"location": f"/v1/runs/{run.id}"})


@_route("GET", "/v1/projects/{owner}/{name}/runs")
def list_runs(call: Call) -> Answer:
    project = readable_repository(call.state.table, call.repository, call.token)
    limit = max(call.request.number("limit", _DEFAULT_LIST, LARGEST_LIST), 1)
    page = call.state.table.runs_of(project.full_name, limit, call.request.query.get("cursor"))
    return Answer(200, {"runs": [show(run) for run in page.rows], "next_cursor": page.cursor})


@_route("GET", "/v1/runs/{run}")
def show_run(call: Call) -> Answer:
    return Answer(200, show(call.run()))


@_route("POST", "/v1/runs/{run}/stop")
def stop(call: Call) -> Answer:
    return Answer(202, show(stop_run(call.state, call.place["run"], call.token)))


@_route("POST", "/v1/runs/{run}/rerun")
def run_again(call: Call) -> Answer:
    run = rerun(call.state, call.place["run"], call.token, _with_key(call, _body(call, RunChanges)))
    return Answer(201, show(run), {"location": f"/v1/runs/{run.id}"})


@_route("DELETE", "/v1/runs/{run}")
def delete(call: Call) -> Answer:
    delete_run(call.state, call.place["run"], call.token)
    return Answer(204)


@_route("GET", "/v1/runs/{run}/log")
def show_log(call: Call) -> Answer:
    """`offset` and `limit` in bytes; or `line` and `lines`; or `tail`."""
    run, request, objects = call.run(), call.request, call.state.objects
    if "tail" in request.query:
        page = tail(objects, run.id, max(request.number("tail", 100, _MAX_LINES), 1))
    elif "line" in request.query:
        lines = request.number("lines", 100, _MAX_LINES)
        page = read_lines(objects, run.id, request.number("line", 1, 10**12), lines)
    else:
        limit = request.number("limit", _DEFAULT_LOG_BYTES, _LARGEST_LOG_BYTES)
        page = read_log(objects, run.id, request.number("offset", 0, 10**15), limit)
    body = {"text": page.text, "offset": page.offset, "next_offset": page.next_offset, "end": page.end}
    return Answer(200, body if page.lines is None else {**body, "line": page.lines})


@_route("GET", "/v1/runs/{run}/metrics")
def show_metrics(call: Call) -> Answer:
    return _stored_json(call, layout.metrics_key)


@_route("GET", "/v1/runs/{run}/evaluation")
def show_evaluation(call: Call) -> Answer:
    return _stored_json(call, layout.evaluation_key)


@_route("GET", "/v1/runs/{run}/findings")
def show_findings(call: Call) -> Answer:
    return _stored_json(call, layout.findings_key)


@_route("GET", "/v1/runs/{run}/outputs")
def list_outputs(call: Call) -> Answer:
    """What the script left, with addresses to download it from for a quarter of an hour."""
    run = call.run()
    prefix = layout.output_prefix(run.id)
    limit = max(call.request.number("limit", LARGEST_LIST, _MOST_OUTPUTS), 1)
    behind = call.request.query.get("cursor")
    found = list(call.state.objects.find(prefix, f"{prefix}{behind}" if behind else None, limit))
    outputs = [
        {
            "path": one.key.removeprefix(prefix),
            "size": one.size,
            "address": call.state.objects.download_address(one.key, one.key.rsplit("/", 1)[1]),
        }
        for one in found
    ]
    return Answer(200, {"outputs": outputs, "next_cursor": outputs[-1]["path"] if len(found) == limit else None})


@_route("GET", "/v1/runs/{run}/log.gz")
def download_log(call: Call) -> Answer:
    run = call.run()
    if call.state.objects.size(layout.log_key(run.id)) is None:
        raise _not_yet()
    return Answer(302, None, {"location": call.state.objects.download_address(layout.log_key(run.id), f"{run.id}.gz")})


# Access tokens


class NewToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=100)
    scopes: list[Scope] = Field([Scope.READ], min_length=1, max_length=3)
    user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] | None = Field(
        None, description="For whom, if not for yourself; only with a token of the scope operate."
    )
    expires_at: AwareDatetime | None = None


@_route("POST", "/v1/tokens")
def add_token(call: Call) -> Answer:
    """The secret is in this answer and never again."""
    wanted = _body(call, NewToken)
    user = require_scope(call.token, Scope.READ).user
    if wanted.user not in (None, user):
        require_scope(call.token, Scope.OPERATE)
    for scope in wanted.scopes:
        # Nobody gets more by making a token than the token it was made with.
        require_scope(call.token, scope)
    secret, made = issue_token(
        call.state.table, wanted.user or user, wanted.scopes, wanted.name, _lifetime(call, wanted.expires_at)
    )
    return Answer(201, {**_token(made), "token": secret})


@_route("GET", "/v1/tokens")
def list_tokens(call: Call) -> Answer:
    user = require_scope(call.token, Scope.READ).user
    return Answer(200, {"tokens": [_token(token) for token in call.state.table.tokens_of(user)]})


@_route("DELETE", "/v1/tokens/{token}")
def revoke_token(call: Call) -> Answer:
    user = require_scope(call.token, Scope.WRITE).user
    for token in call.state.table.tokens_of(user):
        if token.id == call.place["token"]:
            call.state.table.delete_token(token.digest)
            return Answer(204)
    raise NotFound(Text(en="You have no token with that id.", zh="您没有此编号的令牌。"))


def _lifetime(call: Call, wanted: datetime | None) -> datetime | None:
    """When a new token ends: not after the one that it was made with."""
    own = call.token.expires_at if call.token else None
    return min((at for at in (wanted, own) if at is not None), default=None)


def show(run: Run) -> dict[str, Any]:
    """A run as the API shows it: all but what is only ours."""
    # Through JSON, in which a figure that is not a number is the string "NaN".
    document = json.loads(run.model_dump_json(exclude={"claim", "nudges", "reporter", "reported", "deleted_at"}))
    return {**document, "final": run.state.is_final}


def _created(call: Call, wanted: NewRepository) -> Answer:
    made = create_repository(call.state, call.token, wanted, call.request.public_url)
    webhook = None
    if made.webhook_address:
        # Without a secret there is nothing to enter anywhere: the webhook was made with the host's token.
        webhook = {"address": made.webhook_address, "secret": made.webhook_secret or None, "note": made.note}
    return Answer(201, {"repository": _repository(made.repository), "webhook": in_language(webhook, call.language)})


def _repositories(call: Call, kind: RepositoryKind | None) -> Answer:
    user = require_scope(call.token, Scope.READ).user
    limit = max(call.request.number("limit", _DEFAULT_LIST, LARGEST_LIST), 1)
    page = call.state.table.repositories_of(user, limit, call.request.query.get("cursor"))
    rows = [_repository(row) for row in page.rows if kind in (None, row.kind)]
    return Answer(200, {"repositories" if kind is None else "projects": rows, "next_cursor": page.cursor})


def _repository(repository: Repository) -> dict[str, Any]:
    return repository.model_dump(mode="json", exclude={"api_url"})


def _token(token: AccessToken) -> dict[str, Any]:
    return token.model_dump(mode="json", exclude={"digest"})


def _body(call: Call, model: type[Model]) -> Model:
    try:
        return model.model_validate(call.request.json())
    except ValidationError as error:
        raise invalid_input(error) from None


def _with_key(call: Call, wanted: Asked) -> Asked:
    """The idempotency key may also come as a header, as many programs send it."""
    key = call.request.headers.get("idempotency-key", "")
    if not key or wanted.idempotency_key is not None:
        return wanted
    if len(key) > 200:
        raise InvalidInput(
            Text(en="The idempotency key is longer than 200 characters.", zh="幂等键超过 200 个字符。"),
            details={"field": "idempotency-key"},
        )
    return wanted.model_copy(update={"idempotency_key": key})


def _stored_json(call: Call, key: Callable[[str], str]) -> Answer:
    """An object that is JSON already; a very large one is fetched from the bucket itself."""
    stored = key(call.run().id)
    try:
        body = call.state.objects.get(stored)
    except ObjectMissingError:
        raise _not_yet() from None
    if len(body) > MAX_ANSWER_BYTES:
        return Answer(302, None, {"location": call.state.objects.download_address(stored)})
    return Answer(200, body)


def _not_yet() -> NotFound:
    return NotFound(
        Text(
            en="The run has not come that far yet, or it left nothing of the kind. Look at its state.",
            zh="该训练尚未进行到这一步，或没有产生此内容。请查看其状态。",
        ),
        code="not_yet",
    )


def _time(at: Any) -> str | None:
    return at.isoformat() if at else None
