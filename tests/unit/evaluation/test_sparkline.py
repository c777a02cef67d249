"""A run's row keeps the course of one metric, small and finite."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from trainyard.evaluation.sparkline import MOST_POINTS, sparkline
from trainyard.evaluation.standard import evaluate
from trainyard.model.metric import MetricGroup, Metrics, Point
from trainyard.model.run import EvaluationFacet


def metrics_of(**series: list[float]) -> Metrics:
    points = {name: [Point(None, float(n), value) for n, value in enumerate(values)] for name, values in series.items()}
    return Metrics([MetricGroup({}, points)])


def test_what_was_required_is_shown_first() -> None:
    metrics = metrics_of(loss=[2, 1], accuracy=[0.5, 0.75])
    assert sparkline(metrics, evaluate(metrics, {"loss": "< 3"})) == ("loss", [2, 1])
    assert sparkline(Metrics(), evaluate(Metrics(), {"loss": "< 3"})) == (None, [])


@given(st.lists(st.floats(), max_size=200))
def test_the_course_fits_into_a_row_and_is_read_back(values: list[float]) -> None:
    metrics = metrics_of(loss=values)
    name, curve = sparkline(metrics, evaluate(metrics, {}))
    assert len(curve) <= MOST_POINTS
    assert all(map(math.isfinite, curve))
    facet = EvaluationFacet(key_metric=name, curve=curve)
    assert EvaluationFacet.model_validate_json(facet.model_dump_json()) == facet
