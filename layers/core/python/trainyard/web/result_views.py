"""What the API answers about results, as models; see `views`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from trainyard.evaluation.comparison import Comparison, Place
from trainyard.model.evaluation import Evaluation, RepeatedEvaluation
from trainyard.web.views import MetricsView, PointView, RunView


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
    script: bool = Field(False, description="Run the evaluation script that the run names first.")


class EvaluationList(BaseModel):
    evaluations: list[RepeatedEvaluation]
    next_cursor: str | None = Field(description="Give it as `cursor` to go on; null at the end of the list.")
