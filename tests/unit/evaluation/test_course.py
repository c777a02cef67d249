from __future__ import annotations

import math

import pytest

from trainyard.evaluation.course import notes_on
from trainyard.model.metric import MetricGroup, Point


def _group(parameters: dict | None = None, **series: list[float]) -> MetricGroup:
    return MetricGroup(
        parameters or {},
        {
            name: [Point(44, float(epoch), value) for epoch, value in enumerate(values, 1)]
            for name, values in series.items()
        },
    )


def _kinds(**series: list[float]) -> dict[str, str]:
    return {note.kind: note.message.en for note in notes_on(_group(**series))}


def test_a_good_training_gives_no_warning():
    assert _kinds(loss=[1 / n for n in range(1, 8)], val_loss=[1.1 / n for n in range(1, 8)]) == {}


@pytest.mark.parametrize("end", [math.nan, math.inf, 500.0])
def test_divergence(end):
    assert "epoch 3" in _kinds(loss=[2.0, 1.0, end])["divergence"]


def test_a_loss_that_began_high_has_not_diverged():
    assert _kinds(loss=[2.3, 0.0001, 0.02]) == {}


def test_plateau():
    assert "epoch 3" in _kinds(val_accuracy=[0.1, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.899])["plateau"]
    assert "plateau" not in _kinds(val_accuracy=[0.1 * n for n in range(8)])
    assert "plateau" not in _kinds(val_accuracy=[0.9, 0.9, 0.9])


def test_overfitting():
    message = _kinds(train_loss=[1.0, 0.5, 0.3, 0.1], val_loss=[1.0, 0.6, 0.7, 0.9])["overfitting"]
    assert "epoch 2" in message
    assert "overfitting" not in _kinds(train_loss=[1.0, 0.5, 0.6, 0.7], val_loss=[1.0, 0.6, 0.7, 0.9])


def test_speed_and_throughput():
    (note,) = notes_on(_group({"batch_size": 32}, step_time=[10.0, 20.0, 1000.0]))
    assert note.kind == "speed"
    assert "20 ms a step, 50 steps/s, 1.6e+03 samples/s" in note.message.en


@pytest.mark.parametrize(
    "values", [[], [math.nan], [math.nan] * 9, [0.0] * 9, [-math.inf, math.inf] * 4, [1e308, -1e308] * 4]
)
def test_nothing_upsets_it(values):
    group = _group(**dict.fromkeys(("loss", "val_loss", "accuracy", "step_time"), values))
    notes_on(MetricGroup({}, {name: points for name, points in group.series.items() if points}))
