"""How a request finds its route, and what every route needs to answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from trainyard.intake.permissions import readable_run
from trainyard.intake.problems import invalid_input
from trainyard.intake.submissions import RunChanges, SubmitRun
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.repository import AccessToken
from trainyard.model.run import Run
from trainyard.model.text import Language, Text
from trainyard.store import State
from trainyard.store.objects import ObjectMissingError
from trainyard.web.messages import MAX_ANSWER_BYTES, Answer, Request, preferred_language

LARGEST_LIST = 200
_DEFAULT_LIST = 50
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

    @property
    def list_limit(self) -> int:
        """How many entries a list is to hold."""
        return max(self.request.number("limit", _DEFAULT_LIST, LARGEST_LIST), 1)

    def run(self) -> Run:
        return readable_run(self.state.table, self.place["run"], self.token)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a query."""

    name: str
    description: str
    kind: Literal["string", "integer"] = "string"


LIMIT = Parameter("limit", f"Entries in the answer; {_DEFAULT_LIST} if left out, {LARGEST_LIST} at most.", "integer")
CURSOR = Parameter("cursor", "`next_cursor` of the answer before.")
MAX_WAIT_SECONDS = 20
"""API Gateway gives up after 30."""
WAIT = Parameter(
    "wait",
    f"Seconds, {MAX_WAIT_SECONDS} at most, that the answer may wait while it is what If-None-Match says.",
    "integer",
)
PAGED = (LIMIT, CURSOR)


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    pattern: re.Pattern[str]
    act: Callable[[Call], Answer]
    status: int
    """Of an answer that is no error."""
    gives: type[BaseModel] | None
    """What it answers; None: nothing, or no JSON."""
    takes: type[BaseModel] | None
    """What it wants in the body; None: nothing."""
    query: tuple[Parameter, ...]
    form: bool
    """Whether the body may be a form instead."""
    media: str
    """Type of what it answers where that is no JSON."""
    for_jobs: bool
    """It is asked by jobs, with tokens of their own, not by people."""

    @property
    def waits(self) -> bool:
        return WAIT in self.query

    @property
    def summary(self) -> str:
        return self.act.__name__.replace("_", " ").capitalize()

    @property
    def places(self) -> list[str]:
        """The variable parts of the path."""
        return re.findall(r"\{(\w+)\}", self.path)


ROUTES: list[Route] = []


def route(
    method: str,
    path: str,
    *,
    status: int = 200,
    gives: type[BaseModel] | None = None,
    takes: type[BaseModel] | None = None,
    query: tuple[Parameter, ...] = (),
    form: bool = False,
    media: str = "",
    for_jobs: bool = False,
) -> Callable[[Callable[[Call], Answer]], Callable[[Call], Answer]]:
    """Register the function below as what happens at `method path`. The rest is what OpenAPI says of it."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

    def register(act: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        ROUTES.append(Route(method, path, pattern, act, status, gives, takes, query, form, media, for_jobs))
        return act

    return register


def body(call: Call, model: type[Model]) -> Model:
    try:
        return model.model_validate(call.request.json())
    except ValidationError as error:
        raise invalid_input(error, model=model) from None


def with_key(call: Call, wanted: Asked) -> Asked:
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


def stored_json(call: Call, key: Callable[[str], str]) -> Answer:
    """An object that is JSON already; a very large one is fetched from the bucket itself."""
    stored = key(call.run().id)
    try:
        body = call.state.objects.get(stored)
    except ObjectMissingError:
        raise not_yet() from None
    if len(body) > MAX_ANSWER_BYTES:
        return Answer(302, None, {"location": call.state.objects.download_address(stored)})
    return Answer(200, body)


def not_yet() -> NotFound:
    return NotFound(
        Text(
            en="The run has not come that far yet, or it left nothing of the kind. Look at its state.",
            zh="该训练尚未进行到这一步，或没有产生此内容。请查看其状态。",
        ),
        code="not_yet",
    )
