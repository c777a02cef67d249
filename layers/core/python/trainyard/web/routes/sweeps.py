"""The trainings of a sweep: which there are, and what one of them left in place of what the whole run left."""

from __future__ import annotations

from typing import Any

from trainyard.compute.registry import backend
from trainyard.model.errors import NotFound
from trainyard.model.run import Run
from trainyard.model.text import Text
from trainyard.store import layout
from trainyard.store.table import wrong_cursor
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import PAGED, Call, Parameter, route
from trainyard.web.views import ChildList

CHILD = Parameter("child", "Of a sweep: the index of a training, from 0, whose own is wanted.", "integer")
_LARGEST_INDEX = 10**6


@route("GET", "/v1/runs/{run}/children", gives=ChildList, query=PAGED)
def list_children(call: Call) -> Answer:
    """The trainings of a sweep in order; none of a run that is no sweep."""
    run, cursor = call.run(), call.request.query.get("cursor", "0")
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 7):
        raise wrong_cursor()
    combinations = run.spec.combinations() if run.spec else []
    start = int(cursor)
    chosen = range(start, min(start + call.list_limit, len(combinations)))
    phases = _phases(run, chosen)
    children = [{"index": index, "parameters": combinations[index], "phase": phases.get(index)} for index in chosen]
    following = chosen.stop if chosen.stop < len(combinations) and chosen else None
    return Answer(200, {"children": children, "next_cursor": None if following is None else str(following)})


def _phases(run: Run, indexes: range) -> dict[int, Any]:
    """Where each stands, as far as the backend remembers it."""
    if run.job is None or not indexes:
        return {}
    statuses = backend(run.job.backend).children_of(run.job, list(indexes))
    return {status.child: status.phase.value for status in statuses if status.child is not None}


def left_by(call: Call, run: Run) -> str:
    """What stands for the run's id in a key: its own, or that of the training `child` names; NotFound without one."""
    if "child" not in call.request.query:
        return run.id
    index = call.request.number("child", 0, _LARGEST_INDEX)
    if run.spec is None or not run.spec.is_sweep or index >= run.spec.trainings:
        raise NotFound(
            Text(
                en="The run has no training of that index. GET its children to see which there are.",
                zh="该训练没有此序号的子训练。可用的子训练见其 children。",
            )
        )
    return layout.child_id(run.id, index)
