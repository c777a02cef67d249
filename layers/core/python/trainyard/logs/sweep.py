"""A sweep has ended: every training's log is indexed, and what all of them measured stands side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from trainyard.logs.index import index_run
from trainyard.model.metric import MetricGroup, Metrics, Parameter, downsample
from trainyard.store import layout
from trainyard.store.objects import Objects

_AT_ONCE = 8
# Points that the sweep's own metrics hold in all; each training's keep what is shown of any run.
_MOST_POINTS = 200_000
_FEWEST_OF_A_SERIES = 5


def index_sweep(objects: Objects, run_id: str, combinations: Sequence[Mapping[str, Parameter]]) -> None:
    """Write the log, index and metrics of each training and, as the run's metrics, a group for each with its values.

    What an earlier try has indexed already is only read: thousands of trainings may take longer than one function may.
    """

    def indexed(index: int) -> Metrics:
        child = layout.child_id(run_id, index)
        if objects.size(layout.log_index_key(child)) is None:
            index_run(objects, child)
        return Metrics.from_json(objects.get(layout.metrics_key(child)))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(indexed, range(len(combinations))))
    metrics = _side_by_side(found, combinations)
    objects.put(layout.metrics_key(run_id), metrics.to_json(), content_type="application/json")


def _side_by_side(found: Sequence[Metrics], combinations: Sequence[Mapping[str, Parameter]]) -> Metrics:
    series = sum(len(group.series) for metrics in found for group in metrics.groups)
    limit = max(_MOST_POINTS // max(series, 1), _FEWEST_OF_A_SERIES)
    return Metrics(
        [
            _thinned(group, values, limit)
            for metrics, values in zip(found, combinations, strict=True)
            # A training that measured nothing is still to be seen.
            for group in metrics.groups or [MetricGroup()]
        ]
    )


def _thinned(group: MetricGroup, values: Mapping[str, Parameter], limit: int) -> MetricGroup:
    counts = {name: len(points) for name, points in group.series.items() if len(points) > limit}
    series = {name: downsample(points, limit) for name, points in group.series.items()}
    return MetricGroup({**values, **group.parameters}, series, {**counts, **group.counts})
