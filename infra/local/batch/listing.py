"""Reading jobs: DescribeJobs, ListJobs, GetJobQueueSnapshot. Callers hold the lock that guards the state."""

import copy
from collections.abc import Callable

from infra.local.batch import paging
from infra.local.batch.records import ON_AN_INSTANCE, Job, State, Wire, name_of, now_ms
from infra.local.batch.refusal import Refusal

MOST_DESCRIBED = 100
_MOST_BY_STATUS = 1000
_SUMMARISED = (
    "jobArn",
    "jobId",
    "jobName",
    "createdAt",
    "shareIdentifier",
    "status",
    "statusReason",
    "startedAt",
    "stoppedAt",
    "jobDefinition",
    "isCancelled",
    "isTerminated",
)


def describe_jobs(state: State, request: Wire) -> Wire:
    """The jobs asked for, in that order; unknown ids are left out, as Batch does."""
    wanted = request["jobs"]
    if len(wanted) > MOST_DESCRIBED:
        raise Refusal(f"At most {MOST_DESCRIBED} jobs can be described at once, not {len(wanted)}")
    return {"jobs": [described(state.jobs[each]) for each in map(name_of, wanted) if each in state.jobs]}


def described(job: Job) -> Wire:
    """JobDetail. The service model demands startedAt, which a job that never ran hasn't got: 0 then."""
    return {"startedAt": 0, **copy.deepcopy(job.detail)}


def list_jobs(state: State, request: Wire) -> Wire:
    """Jobs of a queue, children of an array job or nodes of a multi-node one, newest first.

    Those with a status (RUNNING unless said), or that match a filter.
    """
    belongs = _place(state, request)
    matches = _matcher(request)
    before = paging.place(request)
    rows = [
        job
        for job in sorted(state.jobs.values(), key=lambda job: -job.seq)
        if belongs(job) and matches(job) and (before is None or job.seq < before)
    ]
    # The token is a job's number, not a count: jobs that come in meanwhile neither shift nor repeat a row.
    page = rows[: paging.size(request, paging.MOST_PER_PAGE if request.get("filters") else _MOST_BY_STATUS)]
    token = paging.token(page[-1].seq) if len(page) < len(rows) else {}
    return {"jobSummaryList": [_summary(job) for job in page], **token}


def _place(state: State, request: Wire) -> Callable[[Job], bool]:
    """A queue shows parents only; their children or nodes are asked for by the parent's id."""
    if parent_id := request.get("arrayJobId") or request.get("multiNodeJobId"):
        parent_id = state.job(parent_id).job_id
        return lambda job: job.parent_id == parent_id
    if "jobQueue" not in request:
        raise Refusal("One of jobQueue, arrayJobId, multiNodeJobId must be specified")
    queue_name = state.queue(request["jobQueue"])["jobQueueName"]
    return lambda job: job.queue_name == queue_name and job.parent_id is None


def _matcher(request: Wire) -> Callable[[Job], bool]:
    filters = request.get("filters", [])
    if not filters:
        status = request.get("jobStatus", "RUNNING")
        return lambda job: job.status == status
    if len(filters) > 1:
        raise Refusal("Only one filter can be used at a time")
    name, values = filters[0].get("name"), filters[0].get("values", [])
    if len(values) != 1:
        raise Refusal(f"Filter {name} takes exactly one value")
    return _filter(name, values[0])


def _filter(name: str | None, value: str) -> Callable[[Job], bool]:
    if name == "JOB_NAME":
        return lambda job: _name_matches(value, job.detail["jobName"])
    if name == "JOB_DEFINITION":
        return lambda job: _name_matches(name_of(value), name_of(job.detail["jobDefinition"]))
    if name in ("BEFORE_CREATED_AT", "AFTER_CREATED_AT"):
        if not (value.isascii() and value.isdecimal()):
            raise Refusal(f"Filter {name} takes a time in milliseconds since 1970")
        edge, sign = int(value), 1 if name.startswith("AFTER") else -1
        return lambda job: bool((job.detail["createdAt"] - edge) * sign > 0)
    raise Refusal(f"Filter {name} is not one of JOB_NAME, JOB_DEFINITION, BEFORE_CREATED_AT, AFTER_CREATED_AT")


def _name_matches(pattern: str, name: str) -> bool:
    """Batch's rule: letter case doesn't count, and an asterisk at the end stands for any rest."""
    pattern, name = pattern.lower(), name.lower()
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _summary(job: Job) -> Wire:
    summary = {name: job.detail[name] for name in _SUMMARISED if name in job.detail}
    container = job.detail.get("container", {})
    ended = {name: container[name] for name in ("exitCode", "reason") if name in container}
    if "arrayProperties" in job.detail:
        summary["arrayProperties"] = {
            name: value for name, value in job.detail["arrayProperties"].items() if name in ("size", "index")
        }
    if job.is_node:
        summary["nodeProperties"] = job.detail["nodeDetails"]
    elif job.node_count:
        summary["nodeProperties"] = {"numNodes": job.node_count}
    return {**summary, "container": ended} if ended else summary


def queue_snapshot(state: State, order: Callable[[str], list[Job]], request: Wire) -> Wire:
    """The RUNNABLE jobs at the front of a queue, in the order in which they will start."""
    name = state.queue(request["jobQueue"])["jobQueueName"]
    now = now_ms()
    front = [
        {"jobArn": _waiting(state, job).detail["jobArn"], "earliestTimeAtPosition": job.detail["createdAt"]}
        for job in order(name)[:MOST_DESCRIBED]
        if not job.is_other_node
    ]
    used = sum(job.vcpus for job in state.jobs.values() if job.queue_name == name and job.status in ON_AN_INSTANCE)
    usage = [{"capacityUnit": "VCPU", "quantity": used}]
    return {
        "frontOfQueue": {"jobs": front, "lastUpdatedAt": now},
        "queueUtilization": {"totalCapacityUsage": usage, "lastUpdatedAt": now},
    }


def _waiting(state: State, job: Job) -> Job:
    """A multi-node parallel job waits as one, whichever of its nodes starts first."""
    return state.job(job.parent_id) if job.is_node and job.parent_id else job
