"""SubmitJob: what is refused, and what a definition and its overrides make together."""

import copy
import json
import uuid

from infra.local.batch import arrays, nodes, resources, retry
from infra.local.batch.records import Job, Place, State, Wire, now_ms, requirement
from infra.local.batch.refusal import Refusal

LARGEST_PAYLOAD = 30 * 1024  # bytes
_NOT_OFFERED = (
    "dependsOn",
    "eksPropertiesOverride",
    "ecsPropertiesOverride",
    "consumableResourcePropertiesOverride",
)
# What a container's own properties and what DescribeJobs shows of them have in common, beside what overrides change.
_CARRIED_OVER = (
    "image",
    "jobRoleArn",
    "executionRoleArn",
    "volumes",
    "mountPoints",
    "readonlyRootFilesystem",
    "ulimits",
    "privileged",
    "user",
    "instanceType",
    "linuxParameters",
    "logConfiguration",
    "secrets",
    "networkConfiguration",
    "ephemeralStorage",
    "runtimePlatform",
)


def submit(state: State, place: Place, request: Wire) -> Job:
    """Store the job that the request asks for, SUBMITTED, and return it. Raises Refusal."""
    queue = state.queue(request["jobQueue"])
    definition = state.definition(request["jobDefinition"])
    _check(request, queue)
    job_id = str(uuid.uuid4())
    strategy = {"attempts": 1, **(request.get("retryStrategy") or definition.get("retryStrategy") or {})}
    detail: Wire = {
        "jobArn": place.arn("job", job_id),
        "jobName": request["jobName"],
        "jobId": job_id,
        "jobQueue": queue["jobQueueArn"],
        "status": "SUBMITTED",
        "attempts": [],
        "createdAt": now_ms(),
        "retryStrategy": {"evaluateOnExit": [], **strategy},
        "dependsOn": [],
        "jobDefinition": definition["jobDefinitionArn"],
        "parameters": {**definition["parameters"], **request.get("parameters", {})},
        "tags": dict(request.get("tags", {})),
        "propagateTags": request.get("propagateTags", definition["propagateTags"]),
        "platformCapabilities": definition["platformCapabilities"],
        "isCancelled": False,
        "isTerminated": False,
    }
    detail.update(_optional(request, definition))
    job, *_ = [_stored(state, each) for each in _details(detail, definition, request, place)]
    return job


def _details(detail: Wire, definition: Wire, request: Wire, place: Place) -> list[Wire]:
    """The job's own JobDetail and, behind it, those of its children or nodes."""
    if definition["type"] == "multinode":
        return _of_nodes(detail, definition["nodeProperties"], request, place)
    if request.get("nodeOverrides"):
        raise Refusal("nodeOverrides must not be set for a job definition of type container")
    detail["container"] = _container(definition["containerProperties"], request.get("containerOverrides", {}))
    size = arrays.size_of(request)
    return arrays.details(detail, size, place) if size else [detail]


def _of_nodes(detail: Wire, properties: Wire, request: Wire, place: Place) -> list[Wire]:
    for name in ("containerOverrides", "arrayProperties"):
        if request.get(name):
            raise Refusal(f"{name} must not be set for a job definition of type multinode")
    overrides = request.get("nodeOverrides", {})
    properties = nodes.overridden(properties, overrides)
    count = properties["numNodes"]
    containers = [
        _container(nodes.container_of(properties, index), nodes.overrides_of(overrides, count, index))
        for index in range(count)
    ]
    return nodes.details(detail, properties, containers, place)


def _stored(state: State, detail: Wire) -> Job:
    job = Job(seq=state.next_seq, detail=copy.deepcopy(detail))
    state.next_seq += 1
    state.jobs[job.job_id] = job
    return job


def _optional(request: Wire, definition: Wire) -> Wire:
    timeout = request.get("timeout") or definition.get("timeout")
    priority = request.get("schedulingPriorityOverride", definition.get("schedulingPriority"))
    found = {"timeout": timeout, "schedulingPriority": priority, "shareIdentifier": request.get("shareIdentifier")}
    return {name: value for name, value in found.items() if value is not None}


def _check(request: Wire, queue: Wire) -> None:
    resources.checked_name(request["jobName"], "Job name")
    if len(json.dumps(request)) > LARGEST_PAYLOAD:
        raise Refusal("SubmitJob payload is larger than 30 KiB")
    if queue["state"] != "ENABLED":
        raise Refusal(f"Job Queue {queue['jobQueueName']} is not in ENABLED state")
    for name in _NOT_OFFERED:
        if request.get(name):
            raise Refusal(f"{name} is not offered by the embedded Batch")
    _check_share(request, queue)
    retry.check(request.get("retryStrategy", {}))
    resources.check_timeout(request.get("timeout", {}))
    resources.check_tags(request.get("tags", {}))
    overrides = [request.get("containerOverrides", {})]
    of_nodes = request.get("nodeOverrides", {}).get("nodePropertyOverrides", [])
    for each in overrides + [one.get("containerOverrides", {}) for one in of_nodes]:
        resources.check_environment(each.get("environment", []))


def _check_share(request: Wire, queue: Wire) -> None:
    fair = bool(queue.get("schedulingPolicyArn"))
    if fair and not request.get("shareIdentifier"):
        raise Refusal("shareIdentifier must be specified for a job queue with a scheduling policy")
    if not fair and (request.get("shareIdentifier") or "schedulingPriorityOverride" in request):
        raise Refusal(
            "shareIdentifier and schedulingPriorityOverride must not be specified for a job queue without a "
            "scheduling policy"
        )
    if not 0 <= request.get("schedulingPriorityOverride", 0) <= 9999:
        raise Refusal("schedulingPriorityOverride must be between 0 and 9999")


def _container(properties: Wire, overrides: Wire) -> Wire:
    """The ContainerDetail of a job: the definition's properties with the submission's overrides laid over them."""
    container = {name: properties[name] for name in _CARRIED_OVER if name in properties}
    container["command"] = overrides.get("command") or properties.get("command", [])
    environment = {each["name"]: each for each in properties.get("environment", [])}
    environment.update({each["name"]: each for each in overrides.get("environment", [])})
    container["environment"] = list(environment.values())
    needs = {kind: requirement(overrides, kind) or requirement(properties, kind) for kind in ("VCPU", "MEMORY", "GPU")}
    container["resourceRequirements"] = [{"type": kind, "value": value} for kind, value in needs.items() if value]
    resources.check_requirements(container)
    return container
