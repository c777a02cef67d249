"""What a run is made of: the trainings of a sweep, the machines that train together. Each left a log and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from trainyard.compute.contract import JobStatus
from trainyard.compute.registry import backend
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.evaluation import Evaluation
from trainyard.model.run import Run
from trainyard.model.spec import Scalar
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

    def name_of(self, run_id: str) -> str:
        """What a file of it is called."""
        return f"{run_id}-{self.kind}-{self.index}" if self.kind else run_id


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


@dataclass(frozen=True)
class Training:
    """One training of a sweep."""

    index: int
    parameters: dict[str, Scalar]
    phase: str | None
    """Where its job stands; None where the backend does not say, as of one that it has forgotten."""
    best: float | None
    """The best value of the metric by which the sweep's trainings are compared; None where it has none."""


@dataclass(frozen=True)
class Machine:
    """One of several that train together."""

    index: int
    phase: str | None


def trainings_of(run: Run, indexes: range, evaluation: Evaluation | None) -> list[Training]:
    """Those of a sweep with these indexes; none of a run that is no sweep. `evaluation`: of the run."""
    combinations = run.spec.combinations() if run.spec else []
    chosen = range(indexes.start, min(indexes.stop, len(combinations)))
    phases = _phases_of_children(run, chosen)
    best = _best_values(evaluation, list(combinations[0])) if combinations and evaluation else {}
    return [
        Training(index, combinations[index], phases.get(index), best.get(_marked(combinations[index].values())))
        for index in chosen
    ]


def machines_of(run: Run) -> list[Machine]:
    """Of a run on several; none of a run on one."""
    count = run.spec.nodes if run.spec else 1
    phases = _phases_of_nodes(run, range(count)) if count > 1 else {}
    return [Machine(index, phases.get(index)) for index in range(count)] if count > 1 else []


def _best_values(evaluation: Evaluation, names: Sequence[str]) -> dict[object, float]:
    """By a training's values, in the order of `names`. Of one that measured several groups the first counts."""
    found: dict[object, float] = {}
    for group in evaluation.groups:
        figures = group.metrics.get(evaluation.decided_by or "")
        if figures is not None and figures.best is not None:
            found.setdefault(_marked(group.parameters.get(name) for name in names), figures.best.value)
    return found


def _marked(values: Iterable[object]) -> object:
    """1, 1.0 and True are three values to be tried, and one to Python."""
    return tuple((type(value), value) for value in values)


def _phases_of_children(run: Run, indexes: range) -> dict[int, str]:
    if run.job is None or not indexes:
        return {}
    known, job = backend(run.job.backend), run.job
    statuses = _if_it_answers(lambda: known.children_of(job, indexes))
    return {status.child: status.phase.value for status in statuses if status.child is not None}


def _phases_of_nodes(run: Run, indexes: range) -> dict[int, str]:
    if run.job is None:
        return {}
    known, job = backend(run.job.backend), run.job
    statuses = _if_it_answers(lambda: known.nodes_of(job, indexes))
    return {status.node: status.phase.value for status in statuses if status.node is not None}


def _if_it_answers(ask: Callable[[], list[JobStatus]]) -> list[JobStatus]:
    """What the backend says; nothing where it is away, for the rest is known without it."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except (BotoCoreError, ClientError):
        return []
