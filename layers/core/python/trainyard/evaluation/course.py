"""The course of a training: how fast it was, whether it diverged, stood still or learned its data by heart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from trainyard.evaluation.direction import direction_of
from trainyard.model.evaluation import Direction, Note
from trainyard.model.metric import MetricGroup, Point
from trainyard.model.text import Text

# A loss this many times above its lowest value so far has run away.
_DIVERGED = 10.0
# The last third of the epochs, at least 3, improved by less than this part of the whole range: nothing more to gain.
_PLATEAU = 0.01
_SHORTEST = 6
# The validation loss rose by this part of its lowest value while the training loss went on falling.
_OVERFITTED = 0.05
_STEP_TIMES = ("step_time", "mean_step_time")
_TRAINING = ("train_loss", "loss", "epoch_loss")
_VALIDATION = ("val_loss", "eval_loss", "test_loss", "valid_loss", "validation_loss")


def notes_on(group: MetricGroup) -> list[Note]:
    """What a person should know about the course of a group's training."""
    notes = []
    for name, points in group.series.items():
        if direction_of(name) is Direction.LOWER and "loss" in name and (note := _divergence(name, points)):
            notes.append(note)
    plateaus = (_plateau(name, group.series[name]) for name in _of_interest(group))
    notes += [note for note in plateaus if note]
    return [*notes, *_overfitting(group), *_speed(group)]


def _of_interest(group: MetricGroup) -> list[str]:
    validation = [name for name in group.series if name in _VALIDATION or "acc" in name]
    return validation or [name for name in _TRAINING if name in group.series][:1]


def _divergence(name: str, points: Sequence[Point]) -> Note | None:
    lowest = math.inf
    for point in points:
        if not math.isfinite(point.value):
            return _diverged(name, point)
        lowest = min(lowest, point.value)
    last = points[-1]
    return _diverged(name, last) if lowest > 0 and last.value > _DIVERGED * max(lowest, points[0].value) else None


def _diverged(name: str, point: Point) -> Note:
    place = _place(point)
    return Note(
        kind="divergence",
        metric=name,
        message=Text(
            en=f"{name} diverged: it is {point.value:g}{place[0]}. Lower the learning rate and check the data.",
            zh=f"{name} 发散：{place[1]}为 {point.value:g}。请降低学习率并检查数据。",
        ),
    )


def _plateau(name: str, points: Sequence[Point]) -> Note | None:
    means = epoch_means(points)
    if len(means) < _SHORTEST or not all(math.isfinite(value) for _, value in means):
        return None
    direction, values = direction_of(name), [value for _, value in means]
    choose = max if direction is Direction.HIGHER else min
    tail = max(3, len(values) // 3)
    reach = max(values) - min(values)
    gained = abs(choose(values[-tail:]) - choose(values[:-tail])) if reach else 0.0
    better = choose(values[-tail:]) == choose(values)
    if reach and better and gained > _PLATEAU * reach:
        return None
    epoch = means[values.index(choose(values))][0]
    return Note(
        kind="plateau",
        metric=name,
        message=Text(
            en=f"{name} no longer improved in the last {tail} epochs; it was best at epoch {epoch:g}.",
            zh=f"{name} 在最后 {tail} 个 epoch 中不再改善；最优值在第 {epoch:g} 个 epoch。",
        ),
    )


def _overfitting(group: MetricGroup) -> list[Note]:
    training = next((name for name in _TRAINING if name in group.series), None)
    validation = next((name for name in _VALIDATION if name in group.series), None)
    if training is None or validation is None:
        return []
    seen, unseen = epoch_means(group.series[training]), epoch_means(group.series[validation])
    values = [value for _, value in unseen]
    if len(values) < 3 or len(seen) < 3 or not all(math.isfinite(value) for _, value in [*seen, *unseen]):
        return []
    lowest = min(values)
    epoch = unseen[values.index(lowest)][0]
    rose = values[-1] > lowest + _OVERFITTED * abs(lowest)
    fell = seen[-1][1] < min((value for at, value in seen if at <= epoch), default=-math.inf)
    if not (rose and fell):
        return []
    message = Text(
        en=f"Overfitting from epoch {epoch:g} on: {validation} rose from {lowest:g} to {values[-1]:g} "
        f"while {training} fell.",
        zh=f"从第 {epoch:g} 个 epoch 起过拟合：{validation} 从 {lowest:g} 升至 {values[-1]:g}，"
        f"而 {training} 仍在下降。",
    )
    return [Note(kind="overfitting", metric=validation, message=message)]


def _speed(group: MetricGroup) -> list[Note]:
    name = next((name for name in _STEP_TIMES if name in group.series), None)
    times = [
        point.value for point in group.series.get(name or "", []) if point.value > 0 and math.isfinite(point.value)
    ]
    if not name or not times:
        return []
    step = median(times)
    rate = 1000 / step
    en, zh = f"{step:.3g} ms a step, {rate:.3g} steps/s", f"每步 {step:.3g} 毫秒，每秒 {rate:.3g} 步"
    batch = group.parameters.get("batch_size")
    if isinstance(batch, int) and not isinstance(batch, bool):
        en, zh = f"{en}, {rate * batch:.3g} samples/s", f"{zh}，每秒 {rate * batch:.3g} 个样本"
    return [Note(kind="speed", metric=name, message=Text(en=f"{en} (median).", zh=f"{zh}（中位数）。"))]


def epoch_means(points: Sequence[Point]) -> list[tuple[float, float]]:
    """The mean of each epoch, in order; each point is an epoch of its own where no epoch is known."""
    by_epoch: dict[float, list[float]] = {}
    for number, point in enumerate(points, 1):
        by_epoch.setdefault(float(number) if point.epoch is None else math.ceil(point.epoch), []).append(point.value)
    return [(epoch, sum(values) / len(values)) for epoch, values in by_epoch.items()]


def _place(point: Point) -> tuple[str, str]:
    if point.epoch is None:
        return ("", "最后") if point.step is None else (f" at step {point.step}", f"在第 {point.step} 步")
    return f" at epoch {point.epoch:g}", f"在第 {point.epoch:g} 个 epoch "
