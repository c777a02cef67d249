"""What the API answers, as models: they make the answers and describe them in OpenAPI."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema, create_model

from trainyard.model.budget import Budget
from trainyard.model.catalogue import Catalogue, Flavor
from trainyard.model.finding import Finding, Severity
from trainyard.model.installation import missing
from trainyard.model.metric import Parameter
from trainyard.model.notification import Notification
from trainyard.model.registry_login import RegistryLogin
from trainyard.model.repository import AccessToken, Repository, Scope, UserName
from trainyard.model.run import Run, RunState
from trainyard.model.settings import settings
from trainyard.model.storage import StorageReport
from trainyard.model.text import Text
from trainyard.model.waiting import waiting

Figure = Annotated[
    float | Literal["NaN", "Infinity", "-Infinity"],
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}),
]
"""JSON has no word for a float that is not finite; it is one of three strings."""


def public(model: type[BaseModel], name: str, without: set[str], **more: Any) -> type[BaseModel]:
    """`model` as callers see it: without some of its fields, with some more."""
    kept = {field: (about.annotation, about) for field, about in model.model_fields.items() if field not in without}
    fields: dict[str, Any] = {**kept, **more}
    config = ConfigDict(title=name, ser_json_inf_nan="strings")
    return create_model(name, __config__=config, __doc__=model.__doc__, __module__=__name__, **fields)


OURS = {"claim", "job_tokens", "nudges", "reported", "deleted_at"}
"""Fields of a run that are nobody else's business."""
RunView = public(Run, "Run", OURS, final=(bool, Field(description="Whether it has ended.")))
INSIDE = {"members", "budget"}
"""Fields of a repository that only its own people see, also where everybody may read it."""
_NULL = "Null for whoever is neither the owner nor a member."
RepositoryView = public(
    Repository,
    "Repository",
    {"api_url", "removed_at", "notifications", "registries", *INSIDE},
    members=(list[UserName] | None, Field(description=f"User names, without the owner's. {_NULL}")),
    budget=(Budget | None, Field(description=f"What a project's runs may cost without anybody's approval. {_NULL}")),
)
TokenView = public(AccessToken, "AccessToken", {"digest"})
NewTokenView = public(
    AccessToken, "NewAccessToken", {"digest"}, token=(str, Field(description="The secret, shown this once."))
)

FlavorView = public(
    Flavor,
    "Flavor",
    set(),
    available=(bool, Field(description="Whether it can be chosen here.")),
    missing=(Text | None, Field(description="Why this installation cannot offer it.")),
)
CatalogueView = public(
    Catalogue,
    "Catalogue",
    {"flavors"},
    flavors=(list[FlavorView], ...),  # type: ignore[valid-type]
    image_registries=(
        list[str],
        Field(description="HOST or HOST/PREFIX of registries whose images a run may bring in place of a framework."),
    ),
)


def show_catalogue(catalogue: Catalogue) -> dict[str, Any]:
    """The catalogue with what of it this installation has."""
    document = catalogue.model_dump(mode="json")
    for shown, flavor in zip(document["flavors"], catalogue.flavors, strict=True):
        why = missing(flavor)
        shown["available"] = not flavor.retired and why is None
        shown["missing"] = why.model_dump() if why else None
    return {**document, "image_registries": settings().allowed_image_registries}


def show_run(run: Run) -> dict[str, Any]:
    """A run as the API shows it."""
    # Through JSON, in which a figure that is not a number is the string "NaN".
    document = json.loads(run.model_dump_json(exclude=OURS))
    told = waiting(run)
    return {**document, "waiting": told.model_dump() if told else None, "final": run.state.is_final}


def show_repository(repository: Repository, token: AccessToken | None) -> dict[str, Any]:
    """A repository as the API shows it to this token's user, who may read it."""
    document = repository.model_dump(mode="json", exclude={"api_url", "removed_at", "notifications", "registries"})
    may_see = token is not None and (repository.may_write(token.user) or Scope.OPERATE in token.scopes)
    return document if may_see else {**document, **dict.fromkeys(INSIDE)}


def show_token(token: AccessToken) -> dict[str, Any]:
    return token.model_dump(mode="json", exclude={"digest"})


class Waiting(BaseModel):
    """Why a run is not running yet, and what would change that."""

    state: RunState
    waiting: Text | None = Field(description="None for a run that has begun or ended.")


class Failure(BaseModel):
    """Every answer of 400 and above."""

    model_config = ConfigDict(title="Error")

    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="For people, in the language of Accept-Language: what is wrong and what to do.")
    details: dict[str, Any] = Field(description="What else a program may want; `fields` names each wrong field.")


class RouteList(BaseModel):
    routes: list[str] = Field(description="Method and path.")


class OpenApi(RootModel[dict[str, Any]]):
    """A document of OpenAPI 3.1."""


class UserView(BaseModel):
    user: str
    scopes: list[Scope]
    expires_at: datetime | None


class _Listed(BaseModel):
    next_cursor: str | None = Field(description="Give it as `cursor` to go on; null at the end of the list.")


class RunList(_Listed):
    runs: list[RunView]  # type: ignore[valid-type]


class RepositoryList(_Listed):
    repositories: list[RepositoryView]  # type: ignore[valid-type]


class ProjectList(_Listed):
    projects: list[RepositoryView]  # type: ignore[valid-type]


class TokenList(BaseModel):
    tokens: list[TokenView]  # type: ignore[valid-type]


class Webhook(BaseModel):
    """What is to be entered at the git host."""

    address: str
    secret: str | None = Field(None, description="Shown this once. Null where the webhook was made at the host.")
    note: str | None = None


class MadeRepository(BaseModel):
    repository: RepositoryView  # type: ignore[valid-type]
    webhook: Webhook | None = Field(description="Only of projects.")


class Removal(BaseModel):
    finished: bool = Field(description="False: it is hidden, and something is still to be removed. Ask again.")
    stays: str | None = Field(description="What is left on its git host, and what to do about it.")


class StorageView(BaseModel):
    report: StorageReport | None = Field(description="What the last inspection found; null before the first.")


class StorageAsked(BaseModel):
    asked_at: datetime = Field(description="The report that answers is younger than this.")


class RenewedWebhook(BaseModel):
    webhook: Webhook


class LogView(BaseModel):
    text: str
    offset: int = Field(description="Of the first byte in the uncompressed log.")
    next_offset: int = Field(description="Ask for this next. Equal to `offset`: nothing more was printed so far.")
    end: bool = Field(description="Nothing will follow.")
    line: int | None = Field(None, description="Number of the first line, from 1, where lines were asked for.")


class PointView(BaseModel):
    step: int | None
    epoch: Figure | None
    value: Figure


class MetricGroupView(BaseModel):
    parameters: dict[str, Parameter]
    series: dict[str, list[PointView]]
    counts: dict[str, int] = Field({}, description="Points that were measured, for each downsampled series.")


class MetricsView(BaseModel):
    """A script that sweeps its hyperparameters gives one group for each setting."""

    groups: list[MetricGroupView]


class FindingList(BaseModel):
    findings: list[Finding]
    errors: int
    warnings: int


class OutputFile(BaseModel):
    path: str
    size: int = Field(description="Bytes.")
    address: str = Field(description="Download it from here within a quarter of an hour.")


class OutputList(_Listed):
    outputs: list[OutputFile]


class MadeNotification(Notification):
    secret: str | None = Field(description="What a webhook is signed with, shown this once; null for a topic.")


class NotificationList(BaseModel):
    notifications: list[Notification]


class RegistryLoginList(BaseModel):
    registries: list[RegistryLogin]


class TriedNotification(BaseModel):
    arrived: bool
    reason: str | None = Field(description="Why it did not arrive.")


class EventAddress(BaseModel):
    name: str
    schema_address: str = Field(alias="schema", description="Where its JSON Schema is.")


class EventList(BaseModel):
    events: list[EventAddress]


class JsonSchema(RootModel[dict[str, Any]]):
    """A JSON Schema of draft 2020-12."""


class RuleView(BaseModel):
    """A validation rule; to a browser the same address answers with a page."""

    id: str
    severity: Severity
    title: Text
    explanation: Text
    failing: list[dict[str, Any]] = Field(description="Repositories in which it finds something.")
    passing: list[dict[str, Any]] = Field(description="Repositories in which it finds nothing.")
    url: str


class RuleList(BaseModel):
    rules: list[RuleView]


class ChildView(BaseModel):
    """One training of a sweep."""

    index: int
    parameters: dict[str, Parameter]
    phase: str | None = Field(description="Where its job stands; null once the backend has forgotten it.")
    best: Figure | None = Field(description="Its best value of `metric`; null where it has none yet.")


class ChildList(_Listed):
    children: list[ChildView]
    metric: str | None = Field(description="By which the trainings are compared; null before the evaluation.")


class NodeView(BaseModel):
    """One machine of several."""

    index: int
    phase: str | None = Field(description="Where its job stands; null once the backend has forgotten it.")


class NodeList(BaseModel):
    nodes: list[NodeView]
