"""Multi-node parallel jobs: one submission, a main node, others that start once it runs and end when it ends.

Source: https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
"""

from infra.local.batch.records import Job, Place, Wire, node_id
from infra.local.batch.refusal import Refusal

LARGEST = 1000
MAIN_NODE_ENDED = "The main node of the multi-node parallel job ended"
# Everything runs on this machine.
_ADDRESS = "127.0.0.1"
# What a multi-node job's own description has from its main node.
_MIRRORED = ("attempts", "startedAt", "stoppedAt", "statusReason")


def check_properties(properties: Wire | None) -> None:
    """Of a definition. Raises Refusal."""
    if not properties:
        raise Refusal("nodeProperties must be provided for a job definition of type multinode")
    count, main = int(properties.get("numNodes", 0)), int(properties.get("mainNode", 0))
    if not 1 <= count <= LARGEST:
        raise Refusal(f"nodeProperties.numNodes must be between 1 and {LARGEST}")
    if not 0 <= main < count:
        raise Refusal("nodeProperties.mainNode must be one of the nodes")
    for each in properties.get("nodeRangeProperties", []):
        if not each.get("container", {}).get("image"):
            raise Refusal("nodeRangeProperties.container.image must be provided")
    for index in range(count):
        container_of(properties, index)


def overridden(properties: Wire, overrides: Wire) -> Wire:
    """A definition's properties with the number of nodes that a submission asks for. Raises Refusal."""
    count = int(overrides.get("numNodes", properties["numNodes"]))
    if not properties["mainNode"] < count <= LARGEST:
        raise Refusal(f"nodeOverrides.numNodes must be between {properties['mainNode'] + 1} and {LARGEST}")
    changed = {**properties, "numNodes": count}
    for index in range(count):
        container_of(changed, index)  # a range with an open end holds more nodes than it was written for
    return changed


def container_of(properties: Wire, index: int) -> Wire:
    """The container properties of a node: of the narrowest range that holds it. Raises Refusal where none does."""
    last = properties["numNodes"] - 1
    ranges = [(_bounds(each["targetNodes"], last), each) for each in properties.get("nodeRangeProperties", [])]
    holding = [(end - start, each) for (start, end), each in ranges if start <= index <= end]
    if not holding:
        raise Refusal(f"nodeRangeProperties say nothing of node {index}")
    return dict(min(holding, key=lambda each: each[0])[1]["container"])


def overrides_of(overrides: Wire, count: int, index: int) -> Wire:
    """What a submission changes in a node's container; later entries count more."""
    changes: Wire = {}
    for each in overrides.get("nodePropertyOverrides", []):
        start, end = _bounds(each["targetNodes"], count - 1)
        if start <= index <= end:
            changes |= each.get("containerOverrides", {})
    return changes


def details(detail: Wire, properties: Wire, containers: list[Wire], place: Place) -> list[Wire]:
    """The job's JobDetail and its nodes', from that of the job as if it had one container."""
    shared = {name: value for name, value in detail.items() if name != "container"}
    nodes = [_node(shared, properties, container, index, place) for index, container in enumerate(containers)]
    return [{**shared, "nodeProperties": properties}, *nodes]


def mirror(job: Job, main: Job) -> None:
    """The job shows what its main node does, but for its state."""
    for name in _MIRRORED:
        job.detail.pop(name, None)
        if name in main.detail:
            job.detail[name] = main.detail[name]


def variables(node: Job, properties: Wire) -> dict[str, str]:
    """What Batch tells a node; the main one is not told its own address. properties: of its job."""
    details = node.detail["nodeDetails"]
    told = {
        "AWS_BATCH_JOB_NUM_NODES": str(properties["numNodes"]),
        "AWS_BATCH_JOB_NODE_INDEX": str(details["nodeIndex"]),
        "AWS_BATCH_JOB_MAIN_NODE_INDEX": str(properties["mainNode"]),
    }
    return told | ({} if details["isMainNode"] else {"AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": _ADDRESS})


def begin_again(node: Job, attempts: int) -> None:
    """The main node is tried again, and with it every other one, however far it had come."""
    node.detail["status"] = "RUNNABLE"
    for name in ("statusReason", "stoppedAt", "startedAt"):
        node.detail.pop(name, None)
    # One that had not started yet counts the attempts of its main node all the same.
    missing = attempts - len(node.detail["attempts"])
    node.detail["attempts"] += [{"container": {}, "statusReason": MAIN_NODE_ENDED}] * missing


def _node(shared: Wire, properties: Wire, container: Wire, index: int, place: Place) -> Wire:
    job_id = node_id(shared["jobId"], index)
    return {
        **shared,
        "jobId": job_id,
        "jobArn": place.arn("job", job_id),
        "container": container,
        "nodeDetails": {"nodeIndex": index, "isMainNode": index == properties["mainNode"]},
    }


def _bounds(target: str, last: int) -> tuple[int, int]:
    """`0:3`, `2:`, `:1` or `4`."""
    start, colon, end = target.partition(":")
    if not (start + end).isdecimal() and (start or end):
        raise Refusal(f"targetNodes {target!r} is not a range of nodes such as 0:3")
    first = int(start or 0)
    return first, int(end) if end else last if colon else first
