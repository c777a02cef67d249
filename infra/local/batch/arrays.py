"""Array jobs: one submission, many children, and a parent that only counts them.

Source: https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
"""

from collections import Counter

from infra.local.batch.records import TERMINAL, Job, Place, State, Wire, child_id
from infra.local.batch.refusal import Refusal

SMALLEST, LARGEST = 2, 10_000
CHILD_FAILED = "Array Child Job failed"


def size_of(request: Wire) -> int:
    """How many children a submission asks for; 0 where it is no array job. Raises Refusal."""
    if "arrayProperties" not in request:
        return 0
    size = int(request["arrayProperties"].get("size", 0))
    if not SMALLEST <= size <= LARGEST:
        raise Refusal(f"arrayProperties.size must be between {SMALLEST} and {LARGEST}")
    return size


def details(detail: Wire, size: int, place: Place) -> list[Wire]:
    """The parent's JobDetail and its children's, from that of the job as if it were alone."""
    parent = {**detail, "arrayProperties": {"size": size, "statusSummary": {"SUBMITTED": size}}}
    return [parent, *(_child(detail, index, place) for index in range(size))]


def _child(detail: Wire, index: int, place: Place) -> Wire:
    job_id = child_id(detail["jobId"], index)
    return {
        **detail,
        "jobId": job_id,
        "jobArn": place.arn("job", job_id),
        "arrayProperties": {"index": index, "statusSummary": {}},
    }


def count(state: State, parent: Job) -> bool:
    """Note where the children stand. Whether all of them have ended."""
    counted = Counter(child.status for child in state.children(parent))
    parent.detail["arrayProperties"]["statusSummary"] = dict(counted)
    return set(counted) <= TERMINAL
