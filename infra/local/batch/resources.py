"""Compute environments, policies, queues, definitions and tags: each operation takes and returns Batch's wire shape.

What a request may hold at all was checked against the service model before; here is what Batch refuses beyond that.
"""

import math
import re
import uuid
from typing import Any

from infra.local.batch import nodes, paging, retry
from infra.local.batch.records import Place, State, Wire, name_of, requirement
from infra.local.batch.refusal import Refusal

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
SHORTEST_TIMEOUT_S = 60
SHORTEST_LIMIT_S = 600
LONGEST_LIMIT_S = 86400


def checked_name(name: str, what: str) -> str:
    """The name, if Batch would take it: 1 to 128 letters, digits, `-`, `_`, the first a letter or digit."""
    if not _NAME.fullmatch(name):
        raise Refusal(
            f"{what} should match valid pattern: up to 128 letters (uppercase and lowercase), numbers, hyphens and "
            "underscores, the first one a letter or number"
        )
    return name


def check_tags(tags: Wire) -> None:
    if len(tags) > 50:
        raise Refusal("A resource can have at most 50 tags")
    for key, value in tags.items():
        if key.lower().startswith("aws:") or not 1 <= len(key) <= 128 or len(value) > 256:
            raise Refusal(f"Tag {key!r}: keys are 1-128 characters and not aws:*, values at most 256")


def check_timeout(timeout: Wire) -> None:
    seconds = timeout.get("attemptDurationSeconds")
    if seconds is not None and seconds < SHORTEST_TIMEOUT_S:
        raise Refusal(f"timeout.attemptDurationSeconds must be at least {SHORTEST_TIMEOUT_S} seconds")


def check_environment(environment: list[Wire]) -> None:
    """Names that start with AWS_BATCH are Batch's own."""
    for each in environment:
        if each.get("name", "").startswith("AWS_BATCH"):
            raise Refusal(f"Environment variable {each['name']}: names that start with AWS_BATCH are reserved")


def check_requirements(container: Wire) -> None:
    """VCPU, MEMORY and GPU must be positive, finite numbers (VCPU may be a fraction)."""
    for kind in ("VCPU", "MEMORY", "GPU"):
        value = requirement(container, kind)
        if value is not None and not _positive(value, whole=kind != "VCPU"):
            raise Refusal(f"resourceRequirements: {kind} must be a positive number, not {value!r}")


def _positive(value: str, *, whole: bool) -> bool:
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        return False
    return math.isfinite(number) and number > 0


class Resources:
    """The operations on what is set up once. Callers hold the lock that guards `state`."""

    def __init__(self, state: State, place: Place) -> None:
        self._state = state
        self._place = place

    def create_compute_environment(self, request: Wire) -> Wire:
        name = checked_name(request["computeEnvironmentName"], "computeEnvironmentName")
        if name in self._state.compute_environments:
            raise Refusal(f"Object already exists: {name}")
        if request["type"] == "MANAGED" and "computeResources" not in request:
            raise Refusal("computeResources must be provided for a MANAGED compute environment")
        check_tags(request.get("tags", {}))
        arn = self._place.arn("compute-environment", name)
        self._state.compute_environments[name] = {
            "state": "ENABLED",
            "tags": {},
            **request,
            "computeEnvironmentArn": arn,
            "ecsClusterArn": f"arn:aws:ecs:{self._place.region}:{self._place.account}:cluster/{name}",
            "containerOrchestrationType": "ECS",
            "status": "VALID",
            "statusReason": "ComputeEnvironment Healthy",
            "uuid": str(uuid.uuid4()),
        }
        return {"computeEnvironmentName": name, "computeEnvironmentArn": arn}

    def describe_compute_environments(self, request: Wire) -> Wire:
        rows = _chosen(self._state.compute_environments, request.get("computeEnvironments"))
        page, token = paging.page(rows, request)
        return {"computeEnvironments": page, **token}

    def update_compute_environment(self, request: Wire) -> Wire:
        environment = self._state.compute_environment(request["computeEnvironment"])
        changes = {name: value for name, value in request.items() if name != "computeEnvironment"}
        resources = {**environment.get("computeResources", {}), **changes.pop("computeResources", {})}
        environment.update(changes)
        if resources:
            environment["computeResources"] = resources
        return {name: environment[name] for name in ("computeEnvironmentName", "computeEnvironmentArn")}

    def delete_compute_environment(self, request: Wire) -> Wire:
        name = name_of(request["computeEnvironment"])
        arn = self._place.arn("compute-environment", name)
        users = [queue["jobQueueName"] for queue in self._state.queues.values() if arn in _environments_of(queue)]
        if users:
            raise Refusal(f"Cannot delete, found existing JobQueue relationship: {', '.join(users)}")
        self._state.compute_environments.pop(name, None)
        return {}

    def create_scheduling_policy(self, request: Wire) -> Wire:
        name = checked_name(request["name"], "name")
        if name in self._state.policies:
            raise Refusal(f"Object already exists: {name}")
        check_tags(request.get("tags", {}))
        arn = self._place.arn("scheduling-policy", name)
        self._state.policies[name] = {"tags": {}, **request, "arn": arn}
        return {"name": name, "arn": arn}

    def update_scheduling_policy(self, request: Wire) -> Wire:
        policy = self._state.policy(request["arn"])
        policy.update({name: value for name, value in request.items() if name != "arn"})
        return {}

    def delete_scheduling_policy(self, request: Wire) -> Wire:
        name = name_of(request["arn"])
        users = [each for each in self._state.queues.values() if name_of(each.get("schedulingPolicyArn", "")) == name]
        if users:
            raise Refusal(f"Scheduling policy {name} is used by {users[0]['jobQueueName']}")
        self._state.policies.pop(name, None)
        return {}

    def describe_scheduling_policies(self, request: Wire) -> Wire:
        return {"schedulingPolicies": _chosen(self._state.policies, request["arns"])}

    def list_scheduling_policies(self, request: Wire) -> Wire:
        page, token = paging.page([{"arn": each["arn"]} for each in self._state.policies.values()], request)
        return {"schedulingPolicies": page, **token}

    def create_job_queue(self, request: Wire) -> Wire:
        name = checked_name(request["jobQueueName"], "jobQueueName")
        if name in self._state.queues:
            raise Refusal(f"Object already exists: {name}")
        order = self._checked_order(request.get("computeEnvironmentOrder", []))
        if policy := request.get("schedulingPolicyArn"):
            self._state.policy(policy)
        _check_time_limits(request.get("jobStateTimeLimitActions", []))
        check_tags(request.get("tags", {}))
        arn = self._place.arn("job-queue", name)
        self._state.queues[name] = {
            "state": "ENABLED",
            "tags": {},
            **request,
            "computeEnvironmentOrder": order,
            "jobQueueArn": arn,
            "status": "VALID",
            "statusReason": "JobQueue Healthy",
        }
        return {"jobQueueName": name, "jobQueueArn": arn}

    def _checked_order(self, order: list[Wire]) -> list[Wire]:
        if not 1 <= len(order) <= 3:
            raise Refusal("computeEnvironmentOrder must have between 1 and 3 compute environments")
        return [
            {
                "order": each["order"],
                "computeEnvironment": self._state.compute_environment(each["computeEnvironment"])[
                    "computeEnvironmentArn"
                ],
            }
            for each in sorted(order, key=lambda each: int(each["order"]))
        ]

    def describe_job_queues(self, request: Wire) -> Wire:
        page, token = paging.page(_chosen(self._state.queues, request.get("jobQueues")), request)
        return {"jobQueues": page, **token}

    def update_job_queue(self, request: Wire) -> Wire:
        queue = self._state.queue(request["jobQueue"])
        changes = {name: value for name, value in request.items() if name != "jobQueue"}
        if "schedulingPolicyArn" in changes and not queue.get("schedulingPolicyArn"):
            raise Refusal("A scheduling policy cannot be added to a job queue that was made without one")
        _check_time_limits(changes.get("jobStateTimeLimitActions", []))
        if "computeEnvironmentOrder" in changes:
            changes["computeEnvironmentOrder"] = self._checked_order(changes["computeEnvironmentOrder"])
        queue.update(changes)
        return {"jobQueueName": queue["jobQueueName"], "jobQueueArn": queue["jobQueueArn"]}

    def delete_job_queue(self, request: Wire) -> Wire:
        name = name_of(request["jobQueue"])
        queue = self._state.queues.get(name)
        if queue is not None and queue["state"] != "DISABLED":
            raise Refusal(f"Cannot delete, resource {name} must be in DISABLED state")
        self._state.queues.pop(name, None)
        return {}

    def register_job_definition(self, request: Wire) -> Wire:
        name = checked_name(request["jobDefinitionName"], "jobDefinitionName")
        _check_definition(request)
        revisions = self._state.definitions.setdefault(name, [])
        revision = revisions[-1]["revision"] + 1 if revisions else 1
        arn = self._place.arn("job-definition", f"{name}:{revision}")
        revisions.append(
            {
                "parameters": {},
                "tags": {},
                "propagateTags": False,
                "platformCapabilities": ["EC2"],
                **request,
                "jobDefinitionArn": arn,
                "revision": revision,
                "status": "ACTIVE",
                "containerOrchestrationType": "ECS",
            }
        )
        return {"jobDefinitionName": name, "jobDefinitionArn": arn, "revision": revision}

    def describe_job_definitions(self, request: Wire) -> Wire:
        rows = [each for revisions in self._state.definitions.values() for each in reversed(revisions)]
        if wanted := request.get("jobDefinitions"):
            # Here Batch wants the full ARN or name:revision; a bare name is taken too, as every revision of it.
            names = {name_of(each) for each in wanted}
            rows = [each for each in rows if names & {each["jobDefinitionName"], name_of(each["jobDefinitionArn"])}]
        if name := request.get("jobDefinitionName"):
            rows = [each for each in rows if each["jobDefinitionName"] == name_of(name)]
        if status := request.get("status"):
            rows = [each for each in rows if each["status"] == status]
        page, token = paging.page(rows, request)
        return {"jobDefinitions": page, **token}

    def tag_resource(self, request: Wire) -> Wire:
        tags = self._tags(request["resourceArn"])
        together = {**tags, **request["tags"]}
        check_tags(together)
        tags.update(together)
        return {}

    def list_tags_for_resource(self, request: Wire) -> Wire:
        return {"tags": self._tags(request["resourceArn"])}

    def _tags(self, arn: str) -> Wire:
        kind = arn.rsplit(":", 1)[-1] if ":job-definition/" not in arn else "job-definition/"
        name = name_of(arn)
        find: dict[str, Any] = {
            "compute-environment": self._state.compute_environment,
            "job-queue": self._state.queue,
            "scheduling-policy": self._state.policy,
            "job-definition": self._state.definition,
            "job": lambda job_id: self._state.job(job_id).detail,
        }
        known = find.get(kind.split("/")[0])
        if known is None or not arn.startswith("arn:"):
            raise Refusal(f"{arn} is not the ARN of a Batch resource that can have tags")
        tags: Wire = known(name).setdefault("tags", {})
        return tags


def _environments_of(queue: Wire) -> list[str]:
    return [each["computeEnvironment"] for each in queue["computeEnvironmentOrder"]]


def _check_time_limits(actions: list[Wire]) -> None:
    for each in actions:
        if each["state"] != "RUNNABLE" or each["action"] != "CANCEL":
            raise Refusal("jobStateTimeLimitActions: state must be RUNNABLE and action CANCEL")
        if not SHORTEST_LIMIT_S <= each["maxTimeSeconds"] <= LONGEST_LIMIT_S:
            raise Refusal(
                f"jobStateTimeLimitActions: maxTimeSeconds must be from {SHORTEST_LIMIT_S} to {LONGEST_LIMIT_S}"
            )


def _chosen(rows: dict[str, Wire], names: list[str] | None) -> list[Wire]:
    """All rows, or those named; names that do not exist are left out, as Batch does."""
    if not names:
        return list(rows.values())
    return [rows[name_of(each)] for each in names if name_of(each) in rows]


def _check_definition(request: Wire) -> None:
    if request["type"] == "multinode":
        properties = request.get("nodeProperties")
        nodes.check_properties(properties)
        containers = [each["container"] for each in properties["nodeRangeProperties"]] if properties else []
    else:
        containers = [request.get("containerProperties")]
    for container in containers:
        _check_container(container)
    check_timeout(request.get("timeout", {}))
    retry.check(request.get("retryStrategy", {}))
    check_tags(request.get("tags", {}))


def _check_container(container: Wire | None) -> None:
    if container is None:
        raise Refusal("containerProperties must be provided for a job definition of type container")
    if not container.get("image"):
        raise Refusal("containerProperties.image must be provided")
    for kind in ("VCPU", "MEMORY"):
        if requirement(container, kind) is None:
            raise Refusal(f"containerProperties.resourceRequirements must contain {kind}")
    check_requirements(container)
    check_environment(container.get("environment", []))
