"""The trainings of a sweep, and the machines of a run on several."""

from __future__ import annotations

from dataclasses import asdict

from trainyard.evaluation.run import stored_evaluation
from trainyard.store.table import wrong_cursor
from trainyard.web.messages import Answer
from trainyard.web.parts import machines_of, trainings_of
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
    start, count = int(cursor), run.spec.trainings if run.spec and run.spec.is_sweep else 0
    evaluation = stored_evaluation(call.state.objects, run)
    trainings = trainings_of(run, range(start, start + call.list_limit), evaluation)
    following = start + len(trainings)
    return Answer(
        200,
        {
            "children": [asdict(one) for one in trainings],
            "metric": evaluation.decided_by if evaluation and count else None,
            "next_cursor": str(following) if trainings and following < count else None,
        },
    )


@route("GET", "/v1/runs/{run}/nodes", gives=NodeList)
def list_nodes(call: Call) -> Answer:
    """The machines that train together; the first one's log, outputs and end are the run's. None of a run on one."""
    return Answer(200, {"nodes": [asdict(one) for one in machines_of(call.run())]})
