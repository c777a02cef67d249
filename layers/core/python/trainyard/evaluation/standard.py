"""Standard evaluation: what the metrics of a run come to, metric by metric and group by group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from trainyard.evaluation.course import epoch_means, notes_on
from trainyard.evaluation.direction import direction_of
from trainyard.evaluation.gates import Figures, check_gate
from trainyard.model.evaluation import Direction, Evaluation, GroupEvaluation, MetricFigures, Place, Verdict
from trainyard.model.metric import MetricGroup, Metrics, Point

EPOCHS_IN_MEAN = 5
# By which metric groups are compared: what was measured on unseen data before what was measured in training.
_DECIDING = (
    "val_accuracy", "eval_accuracy", "test_accuracy", "accuracy", "val_acc", "test_acc", "acc",
    "val_loss", "eval_loss", "test_loss", "loss", "train_loss",
)  # fmt: skip


def evaluate(metrics: Metrics, require: dict[str, str], references: Mapping[str, Figures] | None = None) -> Evaluation:
    """Figures of every metric, the best group, and the verdict on what is required.

    Args:
        require: metric -> requirement, see `model.requirement`.
        references: for each name in a requirement's "best of", those runs' best values; see `evaluation.history`.
    """
    groups = [_evaluate_group(group) for group in metrics.groups]
    decided_by = _deciding_metric(groups)
    best_group = _best_group(groups, decided_by)
    gates = [
        check_gate(metric, requirement, groups, best_group, references or {}) for metric, requirement in require.items()
    ]
    return Evaluation(
        verdict=_verdict([gate.passed for gate in gates]),
        groups=groups,
        best_group=best_group,
        decided_by=decided_by,
        gates=gates,
    )


def _verdict(passed: list[bool]) -> Verdict:
    if not passed:
        return Verdict.NOT_REQUIRED
    return Verdict.PASSED if all(passed) else Verdict.FAILED


def _evaluate_group(group: MetricGroup) -> GroupEvaluation:
    measured = MetricGroup(group.parameters, {name: points for name, points in group.series.items() if points})
    figures = {name: _figures(name, points, group.counts.get(name)) for name, points in measured.series.items()}
    return GroupEvaluation(parameters=group.parameters, metrics=figures, notes=notes_on(measured))


def _figures(name: str, points: Sequence[Point], count: int | None) -> MetricFigures:
    direction = direction_of(name)
    mean, epochs = mean_of_last(points)
    return MetricFigures(
        direction=direction,
        points=count or len(points),
        last=_place(points[-1]),
        best=best_of(points, direction),
        mean_of_last=mean,
        epochs_in_mean=epochs,
    )


def best_of(points: Sequence[Point], direction: Direction) -> Place | None:
    """The best finite value, the earliest of equal ones."""
    finite = [point for point in points if math.isfinite(point.value)]
    if not finite or direction is Direction.UNKNOWN:
        return None
    choose = max if direction is Direction.HIGHER else min
    return _place(choose(finite, key=lambda point: point.value))


def mean_of_last(points: Sequence[Point]) -> tuple[float | None, int]:
    """Mean over the means of the last 5 epochs (the last 5 points where none is known), and how many those were."""
    last = [mean for _, mean in epoch_means(points)][-EPOCHS_IN_MEAN:]
    return (sum(last) / len(last), len(last)) if last else (None, 0)


def _place(point: Point) -> Place:
    return Place(value=point.value, epoch=point.epoch, step=point.step)


def _deciding_metric(groups: list[GroupEvaluation]) -> str | None:
    """The metric by which to compare: one that every group has if there is one, else any."""
    names = list(dict.fromkeys(name for group in groups for name in group.metrics))
    shared = [name for name in names if all(name in group.metrics for group in groups)]
    return deciding_metric(shared) or deciding_metric(names)


def deciding_metric(names: Sequence[str]) -> str | None:
    """The metric by which trainings that have these are compared; None where no name tells which way is better."""
    usable = [name for name in names if direction_of(name) is not Direction.UNKNOWN]
    return next((name for name in _DECIDING if name in usable), usable[0] if usable else None)


def _best_group(groups: list[GroupEvaluation], decided_by: str | None) -> int | None:
    """The group with the best value of the deciding metric; the first where nothing decides, None if there are none."""
    if not groups:
        return None
    if decided_by is None:
        return 0
    values = {
        number: figures.best.value
        for number, group in enumerate(groups)
        if (figures := group.metrics.get(decided_by)) is not None and figures.best is not None
    }
    if not values:
        return 0
    choose = max if direction_of(decided_by) is Direction.HIGHER else min
    return choose(values, key=values.__getitem__)
