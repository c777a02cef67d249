"""The trainings of a sweep, and the machines of a run on several."""

from __future__ import annotations

from trainyard.store.table import wrong_cursor
from trainyard.web.messages import Answer
from trainyard.web.parts import phases_of_children, phases_of_nodes
from trainyard.web.routes.routing import PAGED, Call, Parameter, route
from trainyard.web.views import ChildList, NodeList

CHILD = Parameter("child", "Of a sweep: the index of a training, from 0, whose own is wanted.", "integer")
NODE = Parameter("node", "Of several machines: the index of the one, from 0, whose own is wanted.", "integer")


@route("GET", "/v1/runs/{run}/children", gives=ChildList, query=PAGED)
def list_children(call: Call) -> Answer:
    """The trainings of a sweep in order; none of a run that is no sweep."""
    run, cursor = call.run(), call.request.query.get("cursor", "0")
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 7):
        raise wrong_cursor()
    combinations = run.spec.combinations() if run.spec else []
    start = int(cursor)
    chosen = range(start, min(start + call.list_limit, len(combinations)))
    phases = phases_of_children(run, chosen)
    children = [{"index": index, "parameters": combinations[index], "phase": phases.get(index)} for index in chosen]
    following = chosen.stop if chosen.stop < len(combinations) and chosen else None
    return Answer(200, {"children": children, "next_cursor": None if following is None else str(following)})


@route("GET", "/v1/runs/{run}/nodes", gives=NodeList)
def list_nodes(call: Call) -> Answer:
    """The machines that train together; the first one's log, outputs and end are the run's."""
    run = call.run()
    phases = phases_of_nodes(run)
    count = run.spec.nodes if run.spec else 0
    return Answer(200, {"nodes": [{"index": index, "phase": phases.get(index)} for index in range(count)]})
