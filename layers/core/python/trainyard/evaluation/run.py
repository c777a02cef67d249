"""What a stored run measured."""

from __future__ import annotations

from trainyard.model.metric import Metrics
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError, Objects


def stored_metrics(objects: Objects, run_id: str) -> Metrics:
    """What `index_run` found; nothing where the run left no metrics."""
    try:
        return Metrics.from_json(objects.get(layout.metrics_key(run_id)))
    except ObjectMissingError:
        return Metrics()
