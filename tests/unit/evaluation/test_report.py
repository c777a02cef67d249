from __future__ import annotations

import math
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from trainyard.evaluation.plots import Curve, curves_of, draw
from trainyard.evaluation.report import html, markdown
from trainyard.evaluation.standard import evaluate
from trainyard.model.metric import MetricGroup, Metrics, Point

SCRIPT = "<script>alert(1)</script>|`x`"


def _metrics(**series: list[float]) -> Metrics:
    return Metrics(
        [
            MetricGroup(
                series={name: [Point(44, float(e), v) for e, v in enumerate(vs, 1)] for name, vs in series.items()}
            )
        ]
    )


def test_markdown():
    metrics = _metrics(loss=[0.5, 0.25], val_accuracy=[0.8, 0.7])
    text = markdown(evaluate(metrics, {"accuracy": "best >= 0.75", "f1": "> 0"}))
    assert text.startswith("## Evaluation: failed\n")
    assert "- ✅ accuracy (val\\_accuracy): best value 0.8" in text
    assert "- ❌ f1 is required" in text
    assert "| val\\_accuracy | 0.7 | 0.8 | epoch 1, step 44 | 0.75 | 2 |" in text
    assert "未通过" in markdown(evaluate(metrics, {"f1": "> 0"}), "zh")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_whole_and_holds_nothing_foreign(language):
    metrics = _metrics(**{"loss": [0.5, math.nan, 0.25], f"acc{SCRIPT}": [0.5], "learning_rate": [0.1, 0.1]})
    page = html(evaluate(metrics, {f"acc{SCRIPT}": ">= 0.4"}), metrics, SCRIPT, language)
    tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            assert not {"src", "href", "onload"} & {name for name, _ in attrs}

    Tags().feed(page)
    assert tags.count("svg") == 3
    assert "script" not in tags
    text = markdown(evaluate(metrics, {}))
    assert "<script" not in text.replace("\\<", "")


def test_groups_of_a_sweep_are_named():
    metrics = Metrics([MetricGroup({"lr": rate}, {"accuracy": [Point(1, 1.0, rate)]}) for rate in (0.1, 0.2)])
    text = markdown(evaluate(metrics, {}))
    assert "### Group 1: lr=0.1" in text
    assert "### Group 2 (best): lr=0.2" in text
    assert "accuracy lr=0.1" in html(evaluate(metrics, {}), metrics)
    long = [MetricGroup({"note": "x" * 100 + str(number)}, group.series) for number, group in enumerate(metrics.groups)]
    assert "accuracy #2" in html(evaluate(Metrics(long), {}), Metrics(long))


def test_nothing_measured():
    assert "nothing was required" in markdown(evaluate(Metrics(), {}))
    assert "<svg" not in html(evaluate(Metrics(), {}), Metrics())


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1e308, -1e308], [math.nan], [math.inf, 1.0], [1.0] * 5000])
def test_any_curve_is_valid_xml_within_its_frame(values):
    drawn = draw("<t>", curves_of(_metrics(loss=values), ["loss"]))
    if drawn:
        root = ET.fromstring(drawn)
        for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
            for pair in line.attrib["points"].split():
                x, y = map(float, pair.split(","))
                assert 0 <= x <= 640
                assert 0 <= y <= 260


def test_steps_within_epochs_are_spread_and_steps_of_the_whole_run_are_not():
    series = [Point(step, float(epoch), 1.0) for epoch in (1, 2) for step in (22, 44)]
    (curve,) = curves_of(Metrics([MetricGroup(series={"loss": series})]), ["loss"])
    assert [x for x, _ in curve.points] == [0.5, 1.0, 1.5, 2.0]
    series = [Point(100 * epoch, float(epoch), 1.0) for epoch in (1, 2, 3)]
    (curve,) = curves_of(Metrics([MetricGroup(series={"loss": series})]), ["loss"])
    assert [x for x, _ in curve.points] == [1, 2, 3]
    assert draw("t", [Curve("a", [(1, 1)])]).count("<polyline") == 1
