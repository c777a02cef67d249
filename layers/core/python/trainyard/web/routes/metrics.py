"""What runs measured: all of it in a form for plots, and single series to the last point."""

from __future__ import annotations

from trainyard.logs.series import read_points
from trainyard.model.errors import NotFound
from trainyard.model.metric import MetricGroup, Metrics, downsample, point_to_dict
from trainyard.model.text import Text
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError
from trainyard.web.messages import Answer
from trainyard.web.result_views import SeriesView
from trainyard.web.routes.routing import Call, Parameter, not_yet, route, stored_json
from trainyard.web.views import MetricsView

_FEWEST = 5
_MOST_POINTS = 4000
_POINTS_PER_PAGE = 10_000
_LARGEST_PAGE = 50_000


@route(
    "GET",
    "/v1/runs/{run}/metrics",
    gives=MetricsView,
    query=(
        Parameter("points", "At most so many points of each series; no extreme is lost.", "integer"),
        Parameter("name", "Only these series, with commas between."),
    ),
)
def show_metrics(call: Call) -> Answer:
    """Everything that the run measured."""
    query = call.request.query
    if "points" not in query and "name" not in query:
        return stored_json(call, layout.metrics_key)
    limit = max(call.request.number("points", _MOST_POINTS, _MOST_POINTS), _FEWEST)
    names = {name.strip() for name in query["name"].split(",")} if "name" in query else None
    metrics = Metrics([_thinned(group, names, limit) for group in _metrics(call, call.run().id).groups])
    return Answer(200, metrics.to_json())


@route(
    "GET",
    "/v1/runs/{run}/metrics/series",
    gives=SeriesView,
    query=(
        Parameter("name", "Of the series; loss if left out."),
        Parameter("group", "Number of its group, from 0.", "integer"),
        Parameter("offset", "Number of the first point, from 0.", "integer"),
        Parameter("limit", f"Points; {_POINTS_PER_PAGE} if left out, {_LARGEST_PAGE} at most.", "integer"),
    ),
)
def show_series(call: Call) -> Answer:
    """One series exactly as it was measured, page by page."""
    run, request = call.run(), call.request
    name, number = request.query.get("name", "loss"), request.number("group", 0, 10**6)
    start = request.number("offset", 0, 10**15)
    count = max(request.number("limit", _POINTS_PER_PAGE, _LARGEST_PAGE), 1)
    metrics = _metrics(call, run.id)
    if number >= len(metrics.groups) or name not in metrics.groups[number].series:
        raise NotFound(
            Text(
                en=f"Group {number} has no series {name[:100]!r}. GET /v1/runs/{run.id}/metrics lists them.",
                zh=f"第 {number} 组没有序列 {name[:100]!r}。GET /v1/runs/{run.id}/metrics 会列出全部序列。",
            )
        )
    group = metrics.groups[number]
    points = read_points(call.state.objects, run.id, number, name, start, count)
    if points is None:
        points = group.series[name][start : start + count]
    total = group.counts.get(name, len(group.series[name]))
    behind = start + len(points)
    return Answer(
        200,
        {
            "name": name,
            "group": number,
            "count": total,
            "points": [point_to_dict(point) for point in points],
            "next_offset": behind if points and behind < total else None,
        },
    )


def _metrics(call: Call, run_id: str) -> Metrics:
    try:
        return Metrics.from_json(call.state.objects.get(layout.metrics_key(run_id)))
    except ObjectMissingError:
        raise not_yet() from None


def _thinned(group: MetricGroup, names: set[str] | None, limit: int) -> MetricGroup:
    series = {name: points for name, points in group.series.items() if names is None or name in names}
    counts = {
        name: group.counts.get(name, len(points))
        for name, points in series.items()
        if name in group.counts or len(points) > limit
    }
    return MetricGroup(group.parameters, {name: downsample(points, limit) for name, points in series.items()}, counts)
