"""What runs measured and came to, as rows for a query engine; the tables are in `infra/query.yaml`."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from trainyard.evaluation.comparison import entrant
from trainyard.model.metric import Metrics, number_to_json
from trainyard.model.run import Run
from trainyard.store import State, layout


def store_rows(state: State, run: Run, metrics: Metrics) -> None:
    """Write the rows of an evaluated run, in the place of those of an earlier evaluation."""
    day = run.created_at.date().isoformat()
    _put(state, layout.query_prefix("points", day, run.id), _points(run, metrics))
    _put(state, layout.query_prefix("runs", day, run.id), [_run(state, run)])


def _put(state: State, prefix: str, rows: Iterable[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    # The same rows give the same bytes, whenever they are written.
    data = gzip.compress(lines.encode(errors="replace"), 6, mtime=0)
    state.objects.put(f"{prefix}rows.jsonl.gz", data, "application/gzip")


def _points(run: Run, metrics: Metrics) -> Iterator[dict[str, Any]]:
    of_run = {"run": run.id, "project": run.project, "name": run.name}
    for number, group in enumerate(metrics.groups):
        for metric, points in group.series.items():
            for point in points:
                finite = math.isfinite(point.value)
                yield {
                    **of_run,
                    "group_number": number,
                    "metric": metric,
                    "step": point.step,
                    "epoch": point.epoch if point.epoch is not None and math.isfinite(point.epoch) else None,
                    "value": point.value if finite else None,
                    "not_finite": None if finite else number_to_json(point.value),
                }


def _run(state: State, run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "project": run.project,
        "name": run.name,
        "commit_id": run.commit,
        "ref": run.ref,
        "state": run.state.value,
        "verdict": run.evaluation.verdict,
        "requested_by": run.requested_by,
        "created_at": run.created_at.isoformat(),
        "parameters": {name: str(value) for name, value in (run.spec.hyperparameters if run.spec else {}).items()},
        "inputs": {one.argument: f"{one.source}@{one.revision}" for one in entrant(state.objects, run).inputs},
        "best": {name: value for name, value in run.evaluation.best.items() if math.isfinite(value)},
    }
