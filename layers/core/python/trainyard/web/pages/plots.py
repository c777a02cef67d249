"""Metrics as plots: drawn as SVG for everybody, and as numbers for the charting library that draws them anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainyard.evaluation.plots import Curve, curves_of, draw
from trainyard.model.metric import Metrics
from trainyard.model.text import Language
from trainyard.web.pages.shown import shown
from trainyard.web.pages.words import WORDS

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_PLOTS = 24
_MOST_CURVES = 8
# What belongs into one plot: the word in a metric's name, and the plot's title. The first that fits counts.
_TOGETHER = (
    ("learning_rate", "plot.learning_rate"),
    ("lr", "plot.learning_rate"),
    ("time", "plot.time"),
    ("loss", "plot.loss"),
    ("acc", "plot.accuracy"),
)


@dataclass(frozen=True)
class Figure:
    title: str
    svg: Markup
    data: str
    """JSON: `{"title", "curves": [{"label", "points": [[x, y], ...]}]}`."""


def figures(metrics: Metrics, language: Language) -> list[Figure]:
    """Metrics that belong together in one plot each, in the order in which they first appear."""
    plots: dict[str, list[str]] = {}
    for name in metrics.names():
        plots.setdefault(_title(name, language), []).append(name)
    made = [figure(title, curves_of(metrics, names)[:_MOST_CURVES]) for title, names in plots.items()]
    return [one for one in made if one is not None][:MOST_PLOTS]


def figure(title: str, curves: Sequence[Curve]) -> Figure | None:
    """None where there is nothing to draw."""
    from markupsafe import Markup

    named = [Curve(shown(curve.label), curve.points) for curve in curves]
    # What `draw` gives is markup of its own making; it escapes the names that come from a log.
    svg = Markup(draw(shown(title), named))  # noqa: S704
    curves_as_numbers = [{"label": curve.label, "points": curve.points} for curve in named]
    data = json.dumps({"title": shown(title), "curves": curves_as_numbers}, ensure_ascii=False, allow_nan=False)
    return Figure(title, svg, data) if svg else None


def _title(name: str, language: Language) -> str:
    lowered = name.lower()
    for word, key in _TOGETHER:
        if word in lowered and (word != "lr" or lowered == "lr"):
            return WORDS[key].in_language(language)
    return name
