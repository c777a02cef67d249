"""Every stage must have left what it should; whatever is missing is said."""

from __future__ import annotations

from typing import Any

from trainyard.store import State, layout
from trainyard.store.objects import Objects


def missing_pieces(state: State, run_id: str, statuses: list[Any], queues: dict[str, int]) -> list[str]:
    """What is not there although the run succeeded. `queues`: messages in each dead-letter queue."""
    run = state.table.run(run_id)
    if run is None:
        return [f"{run_id} is not in the table"]
    wrong = [f"no object {key}" for key in _expected_keys(run_id) if state.objects.size(key) is None]
    wrong += [f"nothing under {prefix}" for prefix in _expected_prefixes(run_id) if not _any(state.objects, prefix)]
    reached = [step.state.value for step in run.timeline]
    if reached[-1:] != ["succeeded"] or "queued" not in reached or "running" not in reached:
        wrong.append(f"the timeline is {reached}")
    contexts = [status["context"] for status in statuses if status["state"] == "success"]
    if not any(run.name in context for context in contexts):
        wrong.append(f"no commit status says that {run.name} succeeded")
    wrong += [f"{count} messages in {name}" for name, count in queues.items() if count]
    return wrong


def _expected_keys(run_id: str) -> list[str]:
    return [
        layout.request_key(run_id),
        layout.code_key(run_id),
        layout.findings_key(run_id),
        layout.result_key(run_id, 1),
        layout.log_key(run_id),
        layout.log_index_key(run_id),
        layout.metrics_key(run_id),
        layout.evaluation_key(run_id),
    ]


def _expected_prefixes(run_id: str) -> list[str]:
    return [layout.output_prefix(run_id), layout.log_chunk_prefix(run_id, 1)]


def _any(objects: Objects, prefix: str) -> bool:
    return next(iter(objects.find(prefix, limit=1)), None) is not None
