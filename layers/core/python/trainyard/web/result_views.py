"""What the API answers about results, as models; see `views`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from trainyard.evaluation.comparison import Comparison, Place
from trainyard.model.evaluation import Evaluation, RepeatedEvaluation
from trainyard.model.metric import Parameter
from trainyard.model.scopes import Scopes
from trainyard.web.views import Figure, MetricsView, OutputFile, PointView, RunView


class Hit(BaseModel):
    run: str
    line: int = Field(description="From 1.")
    offset: int = Field(description="Of the line's first byte in the uncompressed log.")
    text: str = Field(description="As a terminal would show it, cut at 1,000 characters.")


class SearchResult(BaseModel):
    hits: list[Hit]
    next_cursor: str | None = Field(description="Give it as `cursor` to go on; null: everything was looked through.")


class SeriesView(BaseModel):
    name: str
    group: int
    count: int = Field(description="Points of the whole series.")
    points: list[PointView]
    next_offset: int | None = Field(description="Where the next page begins; null at the end.")


class ReportView(BaseModel):
    run: RunView  # type: ignore[valid-type]
    evaluation: Evaluation
    metrics: MetricsView


class CodeChange(BaseModel):
    """What changed in the code from another run to this one."""

    run: str
    base: str | None
    head: str | None
    address: str | None = Field(description="The git host's page; null where the code is the same or it has none.")


class ComparisonView(Comparison):
    code: list[CodeChange] = Field(description="For each run but the first.")


class Leaderboard(BaseModel):
    metric: str
    places: list[Place]


class NewEvaluation(BaseModel):
    """What is required this time."""

    model_config = ConfigDict(extra="forbid")

    require: dict[str, str] = Field({}, max_length=50, description='Such as {"accuracy": ">= 0.95"}.')
    scopes: Scopes = Field(Scopes(), description="What a script that sweeps by itself went through.")
    script: bool = Field(False, description="Run the evaluation script that the run names first.")


class EvaluationList(BaseModel):
    evaluations: list[RepeatedEvaluation]
    next_cursor: str | None = Field(description="Give it as `cursor` to go on; null at the end of the list.")


class FileList(BaseModel):
    files: list[OutputFile]
    next_cursor: str | None = Field(description="Give it as `cursor` to go on; null at the end of the list.")


class AimItemView(BaseModel):
    """One tracked object: a `text`, the `counts` of a distribution, an image's `address`, or none of them."""

    step: int
    index: int | None = Field(description="In a list that was tracked at once.")
    caption: str | None = None
    text: str | None = None
    counts: list[float] | None = Field(None, description="In bins of the same width.")
    range: list[Figure] | None = Field(None, description="From where to where the bins lie.")
    address: str | None = None
    width: int | None = None
    height: int | None = None


class AimMetricView(BaseModel):
    name: str
    context: dict[str, str]
    title: str = Field(description="What it is called among the run's metrics.")
    points: int


class AimObjectsView(BaseModel):
    name: str
    context: dict[str, str]
    kind: str = Field(description="Aim's own name, such as aim.text, aim.image, aim.distribution.")
    count: int
    items: list[AimItemView] = Field(description="The last 200 of them.")


class AimRunView(BaseModel):
    hash: str
    parameters: dict[str, Parameter]
    metrics: list[AimMetricView]
    objects: list[AimObjectsView]


class AimView(BaseModel):
    runs: list[AimRunView]
