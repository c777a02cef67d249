"""Evaluating a stored run."""

from __future__ import annotations

from collections.abc import Mapping

from trainyard.evaluation.gates import Figures
from trainyard.evaluation.standard import evaluate
from trainyard.model.evaluation import Evaluation
from trainyard.model.metric import Metrics
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError, Objects


def stored_metrics(objects: Objects, run_id: str) -> Metrics:
    """What `index_run` found; nothing where the run left no metrics."""
    try:
        return Metrics.from_json(objects.get(layout.metrics_key(run_id)))
    except ObjectMissingError:
        return Metrics()


def evaluate_run(
    objects: Objects,
    run_id: str,
    metrics: Metrics,
    require: dict[str, str],
    references: Mapping[str, Figures] | None = None,
) -> Evaluation:
    """Evaluate a run's metrics and write `evaluation.json`. Works on what a failed or stopped run left."""
    evaluation = evaluate(metrics, require, references)
    objects.put(layout.evaluation_key(run_id), evaluation.model_dump_json().encode(), content_type="application/json")
    return evaluation
