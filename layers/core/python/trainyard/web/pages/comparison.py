"""Runs of a project side by side."""

from __future__ import annotations

import re

from trainyard.evaluation.comparison import compare, entrant
from trainyard.evaluation.plots import Curve, curves_of
from trainyard.evaluation.run import stored_metrics
from trainyard.intake.permissions import readable_run
from trainyard.model.errors import InvalidInput
from trainyard.model.run import Run
from trainyard.model.text import Text
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.plots import MOST_PLOTS, figure
from trainyard.web.pages.routing import Visit, page
from trainyard.web.pages.runs import line_of

MOST_COMPARED = 8


@page("GET", "/projects/{owner}/{name}/compare")
def show_comparison(visit: Visit) -> PageAnswer:
    project = visit.repository()
    asked = [one for given in visit.request.every("run") for one in re.split(r"[\s,]+", given) if one]
    chosen = list(dict.fromkeys(asked))
    if not 2 <= len(chosen) <= MOST_COMPARED:
        raise InvalidInput(
            Text(
                en=f"Choose two to {MOST_COMPARED} runs in the list, then compare.",
                zh=f"请在列表中选择 2 到 {MOST_COMPARED} 个训练，再进行对比。",
            )
        )
    runs = [readable_run(visit.state.table, one, visit.token) for one in chosen]
    comparison = compare([entrant(visit.state.objects, run) for run in runs])
    return visit.page(
        "compare.html",
        project=project,
        lines=[line_of(run) for run in runs],
        comparison=comparison,
        figures=[one for one in (figure(name, curves) for name, curves in _curves(visit, runs).items()) if one],
    )


def _curves(visit: Visit, runs: list[Run]) -> dict[str, list[Curve]]:
    """For each metric one curve of each run that has it; of a sweep, its first group."""
    curves: dict[str, list[Curve]] = {}
    for number, run in enumerate(runs, 1):
        metrics = stored_metrics(visit.state.objects, run.id)
        for name in metrics.names()[:MOST_PLOTS]:
            label = f"#{number} {run.name}"
            curves.setdefault(name, []).extend(Curve(label, one.points) for one in curves_of(metrics, [name])[:1])
    return curves
