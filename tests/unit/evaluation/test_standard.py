from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.evaluation.direction import direction_of
from trainyard.evaluation.gates import find_metric
from trainyard.evaluation.standard import evaluate
from trainyard.model.errors import InvalidInput
from trainyard.model.evaluation import Direction, Evaluation, Verdict
from trainyard.model.metric import MetricGroup, Metrics, Point
from trainyard.model.requirement import parse_requirement


def _metrics(**series: list[float]) -> Metrics:
    return Metrics([MetricGroup(series={name: _points(values) for name, values in series.items()})])


def _points(values: list[float]) -> list[Point]:
    return [Point(44, float(epoch), value) for epoch, value in enumerate(values, 1)]


def test_last_best_where_and_mean_of_the_last_epochs():
    figures = evaluate(_metrics(accuracy=[0.1, 0.9, 0.5, 0.6, 0.7, 0.8]), {}).groups[0].metrics["accuracy"]
    assert (figures.last.value, figures.last.epoch) == (0.8, 6)
    assert figures.best is not None
    assert (figures.best.value, figures.best.epoch) == (0.9, 2)
    assert figures.mean_of_last == pytest.approx(0.7)
    assert (figures.direction, figures.points) == (Direction.HIGHER, 6)


def test_the_mean_weighs_epochs_alike_however_often_they_print():
    points = [Point(step, 1.0, 0.0) for step in range(99)] + [Point(1, 2.0, 1.0)]
    assert evaluate(Metrics([MetricGroup(series={"loss": points})]), {}).groups[0].metrics["loss"].mean_of_last == 0.5


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("accuracy", "higher"), ("val_acc", "higher"), ("mAP50-95(B)", "higher"), ("top_5_accuracy", "higher"),
        ("loss", "lower"), ("eval_loss", "lower"), ("top1_error", "lower"), ("step_time", "lower"), ("rmse", "lower"),
        ("eval_samples_per_second", "higher"), ("learning_rate", "unknown"), ("grad_norm", "unknown"),
    ],
)  # fmt: skip
def test_which_way_is_better(name, direction):
    assert direction_of(name) == direction


def test_the_best_group_of_a_sweep_is_decided_by_what_was_validated():
    groups = [
        MetricGroup({"learning_rate": rate}, {"loss": _points([0.1 * rate]), "val_accuracy": _points([accuracy])})
        for rate, accuracy in ((1, 0.8), (2, 0.95), (3, 0.9))
    ]
    result = evaluate(Metrics(groups), {"accuracy": ">= 0.9"})
    assert (result.best_group, result.decided_by, result.verdict) == (1, "val_accuracy", Verdict.PASSED)
    assert (result.gates[0].measured_as, result.gates[0].actual) == ("val_accuracy", 0.95)
    assert result.best() == {"loss": 0.2, "val_accuracy": 0.95}


@pytest.mark.parametrize(
    ("requirement", "passed"),
    [
        (">= 0.8", True), (">0.8", False), ("best >= 0.9", True), ("best > .9", False), ("mean < 7e-1", True),
        ("last == 0.8", True), ("!= 0.8", False), (">= 80%", True), ("<= -1", False), ("< +1", True),
    ],
)  # fmt: skip
def test_gates(requirement, passed):
    result = evaluate(_metrics(accuracy=[0.1, 0.9, 0.5, 0.6, 0.7, 0.8, 0.8][:6]), {"accuracy": requirement})
    if requirement.startswith("mean"):
        passed = result.gates[0].actual is not None and result.gates[0].actual < 0.7
    assert result.gates[0].passed is passed
    assert result.verdict is (Verdict.PASSED if passed else Verdict.FAILED)


def test_nothing_required():
    assert evaluate(Metrics(), {}).verdict is Verdict.NOT_REQUIRED


def test_an_absent_metric_fails_and_the_message_says_which_there_are():
    gate = evaluate(_metrics(loss=[1.0], f1=[0.5]), {"accuracy": ">= 0.9"}).gates[0]
    assert (gate.passed, gate.actual) == (False, None)
    assert "loss, f1" in gate.message.en
    assert "loss, f1" in gate.message.zh
    assert "nothing" in evaluate(Metrics(), {"accuracy": ">= 0.9"}).gates[0].message.en


@pytest.mark.parametrize("requirement", ["> -1e9", "< 1e9", "!= 0"])
def test_nan_never_passes_and_is_never_best(requirement):
    result = evaluate(_metrics(loss=[0.5, math.nan]), {"loss": requirement})
    assert result.verdict is Verdict.FAILED
    assert result.best() == {"loss": 0.5}
    again = Evaluation.model_validate_json(result.model_dump_json())
    assert math.isnan(again.groups[0].metrics["loss"].last.value)


def test_all_nan_has_no_best():
    result = evaluate(_metrics(loss=[math.nan, math.inf]), {"loss": "best < 1"})
    assert result.best() == {}
    assert result.verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("wanted", "names", "found"),
    [
        ("accuracy", ["loss", "accuracy", "val_accuracy"], "accuracy"),
        ("Accuracy", ["accuracy"], "accuracy"),
        ("accuracy", ["train_acc", "val_acc"], "val_acc"),
        ("accuracy", ["eval_accuracy"], "eval_accuracy"),
        ("val loss", ["val_loss"], "val_loss"),
        ("accuracy", ["loss"], None),
    ],
)
def test_a_metric_is_found_under_the_name_that_the_script_gave_it(wanted, names, found):
    assert find_metric(wanted, names) == found


@pytest.mark.parametrize(
    "text",
    ["", "0.9", ">=", ">= high", "__import__('os')", ">= 0.9 or True", ">= ٣", "= 1", ">= 1 2", ">=" + "1" * 200],
)
def test_what_is_no_requirement(text):
    with pytest.raises(InvalidInput):
        parse_requirement(text)
    gate = evaluate(_metrics(accuracy=[1.0]), {"accuracy": text}).gates[0]
    assert not gate.passed
    assert ">= 0.9" in gate.message.en


@given(st.text(max_size=120))
def test_any_text_is_a_requirement_or_a_clear_error(text):
    with suppress(InvalidInput):
        assert parse_requirement(text).comparison in text


@given(
    st.dictionaries(
        st.sampled_from(["loss", "accuracy", "val_loss", "x"]),
        st.lists(
            st.builds(
                Point,
                st.none() | st.integers(0, 99),
                st.none() | st.floats(0, 99, allow_nan=False),
                st.floats(),
            ),
            max_size=9,
        ),
    )
)
def test_any_metrics_are_evaluated_and_survive_json(series):
    metrics = Metrics.from_json(Metrics([MetricGroup(series=series)]).to_json())
    result = evaluate(metrics, {"loss": "< 1", "accuracy": "best >= 0.5"})
    assert Evaluation.model_validate_json(result.model_dump_json()).verdict is result.verdict


def test_infinities_of_both_signs_in_one_epoch():
    points = [Point(1, 1.0, math.inf), Point(2, 1.0, -math.inf)]
    result = evaluate(Metrics([MetricGroup(series={"loss": points, "accuracy": points})]), {})
    assert math.isnan(result.groups[0].metrics["loss"].mean_of_last)
    assert result.last() == {}
