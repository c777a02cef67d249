"""Runs of which only what was asked for is left: their rows were lost, and are made again from it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime

from trainyard.intake.submissions import Asked, requested_run
from trainyard.model.request import RunRequest
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError
from trainyard.store.table import AlreadyThereError, run_key


def receive_lost_requests(
    state: State, since: datetime, until: datetime, rows: Collection[str], *, write: bool = True
) -> int:
    """Request every run again that was asked for in that time and has no row; how many those were.

    `rows`: keys of rows that are known, removed ones too: those runs are not lost. Without `write` nothing is
    requested, and all that have no row are counted. Whether such a run has a job already, its submission finds out.
    """
    lost = [
        one for one in _asked(state, since, until) if run_key(one.run) not in rows and state.table.run(one.run) is None
    ]
    return sum(_ask_again(state, one) for one in sorted(lost, key=lambda one: one.at)) if write else len(lost)


def _asked(state: State, since: datetime, until: datetime) -> Iterator[Asked]:
    for kept in state.objects.find(layout.SUBMISSIONS):
        if since <= kept.modified <= until:
            record = json.loads(state.objects.get(kept.key))
            if "asked" in record:  # an older version kept only the run's id
                yield Asked.model_validate(record["asked"])


def _ask_again(state: State, asked: Asked) -> bool:
    """False where the project is not connected any more, or somebody else was quicker."""
    if state.table.repository(asked.project) is None:
        return False
    run = requested_run(state, asked)
    try:
        state.table.create_run(run.model_copy(update={"commit": _commit(state, asked)}))
    except AlreadyThereError:
        return False
    return True


def _commit(state: State, asked: Asked) -> str | None:
    """A branch may have moved since: a run that was admitted stays at the commit that it was admitted with."""
    try:
        return RunRequest.model_validate_json(state.objects.get(layout.request_key(asked.run))).commit
    except ObjectMissingError:
        return asked.submit.commit
