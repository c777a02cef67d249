"""What a stored run measured and came to."""

from __future__ import annotations

from trainyard.model.evaluation import Evaluation
from trainyard.model.metric import Metrics
from trainyard.model.run import FacetState, Run
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError, Objects


def stored_metrics(objects: Objects, run_id: str) -> Metrics:
    """What `index_run` found; nothing where the run left no metrics."""
    try:
        return Metrics.from_json(objects.get(layout.metrics_key(run_id)))
    except ObjectMissingError:
        return Metrics()


def stored_evaluation(objects: Objects, run: Run) -> Evaluation | None:
    """None before the run was evaluated."""
    if run.evaluation.state is not FacetState.DONE:
        return None
    try:
        return Evaluation.model_validate_json(objects.get(layout.evaluation_key(run.id)))
    except ObjectMissingError:
        return None
