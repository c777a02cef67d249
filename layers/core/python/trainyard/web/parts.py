"""What a run is made of: the trainings of a sweep, the machines that train together. Each left a log and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainyard.compute.registry import backend
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.run import Run
from trainyard.model.text import Text
from trainyard.store import layout
from trainyard.web.messages import Request

_LARGEST_INDEX = 10**6
_ONE_OF_BOTH = Text(en="Ask for a child or for a node, not for both.", zh="child 与 node 请只填一个。")
_NO_CHILD = Text(
    en="The run has no training of that index. GET its children to see which there are.",
    zh="该训练没有此序号的子训练。可用的子训练见其 children。",
)
_NO_NODE = Text(
    en="The run has no machine of that index. GET its nodes to see which there are.",
    zh="该训练没有此序号的机器。可用的机器见其 nodes。",
)


@dataclass(frozen=True)
class Part:
    """One of them, or the run as a whole."""

    place: str
    """What stands for the run's id in a key."""
    kind: str = ""
    """`child` or `node`; empty: the whole run."""
    index: int = 0

    @property
    def query(self) -> str:
        """How an address asks for it; empty for the whole run."""
        return f"{self.kind}={self.index}" if self.kind else ""


def part_of(request: Request, run: Run) -> Part:
    """What `child` or `node` in the address asks for. NotFound where the run has none of that index."""
    asked = [kind for kind in ("child", "node") if kind in request.query]
    if not asked:
        return Part(run.id)
    if len(asked) > 1:
        raise InvalidInput(_ONE_OF_BOTH)
    index = request.number(asked[0], 0, _LARGEST_INDEX)
    if asked[0] == "child":
        if run.spec is None or not run.spec.is_sweep or index >= run.spec.trainings:
            raise NotFound(_NO_CHILD)
        return Part(layout.child_id(run.id, index), "child", index)
    if run.spec is None or index >= run.spec.nodes:
        raise NotFound(_NO_NODE)
    # What the first machine leaves is the run's own.
    return Part(layout.node_id(run.id, index) if index else run.id, "node", index)


def phases_of_children(run: Run, indexes: Sequence[int]) -> dict[int, str]:
    """Where each training stands, as far as the backend remembers it."""
    if run.job is None or not indexes:
        return {}
    statuses = backend(run.job.backend).children_of(run.job, indexes)
    return {status.child: status.phase.value for status in statuses if status.child is not None}


def phases_of_nodes(run: Run) -> dict[int, str]:
    """Where each machine stands, as far as the backend remembers it."""
    if run.job is None or run.spec is None or run.spec.nodes == 1:
        return {}
    statuses = backend(run.job.backend).nodes_of(run.job, range(run.spec.nodes))
    return {status.node: status.phase.value for status in statuses if status.node is not None}
