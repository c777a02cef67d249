"""What a run is worth: the figures of its metrics and whether they meet what was required."""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from trainyard.model.metric import Parameter
from trainyard.model.scopes import Scopes
from trainyard.model.text import Text


class _Frozen(BaseModel):
    # In JSON a number that is not finite is one of the strings "NaN", "Infinity", "-Infinity".
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Direction(StrEnum):
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"
    UNKNOWN = "unknown"
    """The name does not tell; then there is no best."""


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_REQUIRED = "not_required"


class Place(_Frozen):
    """A value and where it was measured."""

    value: float
    epoch: float | None = None
    step: int | None = None


class MetricFigures(_Frozen):
    """One metric of one group."""

    direction: Direction
    points: int
    """How many were measured."""
    last: Place
    best: Place | None
    """Of the finite values; None where there are none or no direction is known."""
    mean_of_last: float | None
    """Mean of the last epochs' means; of the last points where there are no epochs."""
    epochs_in_mean: int


class Note(_Frozen):
    """Something about the course of training that a person should know."""

    kind: str
    """divergence | plateau | overfitting | speed"""
    metric: str
    message: Text


class GroupEvaluation(_Frozen):
    parameters: dict[str, Parameter]
    metrics: dict[str, MetricFigures]
    notes: list[Note] = []


class Gate(_Frozen):
    """One requirement and how it came out."""

    metric: str
    """As it is named in `evaluation.require`."""
    requirement: str
    measured_as: str | None
    """The series that was taken."""
    group: int | None
    """Number of the group, from 0."""
    actual: float | None
    compared_with: float | None = None
    """The number that was required; None where it is another run's and there is none yet."""
    passed: bool
    message: Text


class Evaluation(_Frozen):
    """The standard evaluation of a run."""

    verdict: Verdict
    groups: list[GroupEvaluation]
    best_group: int | None
    """Number of the group, from 0, that is best by `decided_by`."""
    decided_by: str | None
    """The metric by which groups were compared."""
    gates: list[Gate]

    def best(self) -> dict[str, float]:
        """Key figures of the best group: each metric's best value."""
        return {name: one.best.value for name, one in self._figures().items() if one.best is not None}

    def last(self) -> dict[str, float]:
        """Key figures of the best group: each metric's last value, where that is finite."""
        return {name: one.last.value for name, one in self._figures().items() if math.isfinite(one.last.value)}

    def _figures(self) -> dict[str, MetricFigures]:
        return {} if self.best_group is None else self.groups[self.best_group].metrics


class RepeatedEvaluation(_Frozen):
    """An evaluation that somebody asked for, beside the run's own."""

    number: int
    """From 1, in the order in which they were asked for."""
    require: dict[str, str]
    scopes: Scopes = Scopes()
    """What the script swept, if that was told with it."""
    requested_by: str
    at: datetime
    script_run: str | None = None
    """The run of the evaluation script, where one was wanted."""
    evaluation: Evaluation | None = None
    """None while the script has not ended."""
