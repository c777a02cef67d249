"""The course of a run's key metric in a few values, small enough for the run's own row."""

from __future__ import annotations

import math

from trainyard.model.evaluation import Evaluation
from trainyard.model.metric import Metrics, downsample

MOST_POINTS = 24
_LARGEST = 1e300


def key_metric(evaluation: Evaluation) -> str | None:
    """The metric that a person looks at first: what was required, else what decides between groups, else any."""
    required = [gate.measured_as for gate in evaluation.gates if gate.measured_as]
    measured = [name for group in evaluation.groups for name in group.metrics]
    return next(iter([*required, *([evaluation.decided_by] if evaluation.decided_by else []), *measured]), None)


def sparkline(metrics: Metrics, evaluation: Evaluation) -> tuple[str | None, list[float]]:
    """The key metric and at most `MOST_POINTS` finite values of it, of the best group, to four digits."""
    name = key_metric(evaluation)
    if name is None or evaluation.best_group is None:
        return name, []
    series = metrics.groups[evaluation.best_group].series.get(name, [])
    finite = [point for point in series if math.isfinite(point.value) and abs(point.value) < _LARGEST]
    return name, [float(f"{point.value:.4g}") for point in downsample(finite, MOST_POINTS)]
