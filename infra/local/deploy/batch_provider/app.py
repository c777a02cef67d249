"""A function of the embedded stack alone: makes Batch's resources on the Batch server, for CloudFormation.

CloudFormation's custom resources hand every value over as text; botocore's model of Batch says what it was.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """How one type of resource is made, found, changed and removed."""

    name: str
    arn: str
    create: str
    describe: tuple[str, str, str]  # operation, its parameter, its list
    update: str
    delete: str


KINDS = {
    "ComputeEnvironment": Kind(
        name="computeEnvironmentName",
        arn="computeEnvironmentArn",
        create="create_compute_environment",
        describe=("describe_compute_environments", "computeEnvironments", "computeEnvironments"),
        update="update_compute_environment",
        delete="delete_compute_environment",
    ),
    "JobQueue": Kind(
        name="jobQueueName",
        arn="jobQueueArn",
        create="create_job_queue",
        describe=("describe_job_queues", "jobQueues", "jobQueues"),
        update="update_job_queue",
        delete="delete_job_queue",
    ),
    "SchedulingPolicy": Kind(
        name="name",
        arn="arn",
        create="create_scheduling_policy",
        describe=("list_scheduling_policies", "", "schedulingPolicies"),
        update="update_scheduling_policy",
        delete="delete_scheduling_policy",
    ),
    # A job definition is never changed: an update is a new revision, the old one stays for jobs that name it.
    "JobDefinition": Kind(
        name="jobDefinitionName",
        arn="jobDefinitionArn",
        create="register_job_definition",
        describe=("describe_job_definitions", "jobDefinitions", "jobDefinitions"),
        update="register_job_definition",
        delete="",
    ),
}

# Properties that only steer how CloudFormation updates a resource.
STEERING = {
    "ReplaceComputeEnvironment",
    "ResourceRetentionPolicy",
    "SkipDeregisterOnUpdate",
    "UpdatePolicy",
    "UpdateToLatestImageVersion",
}


def handler(event: dict[str, Any], _context: object) -> None:
    """Carry out one request of CloudFormation and answer it, whatever happens."""
    try:
        arn = carry_out(event)
    except Exception as error:  # noqa: BLE001  an unanswered request would block the deployment until it times out
        answer = {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
        answer["PhysicalResourceId"] = event.get("PhysicalResourceId", "FAILED_CREATE_MARKER")
    else:
        kind = KINDS[event["ResourceProperties"]["Kind"]]
        attribute = kind.arn[0].upper() + kind.arn[1:]
        answer = {"Status": "SUCCESS", "PhysicalResourceId": arn, "Data": {attribute: arn}}  # type: ignore[dict-item]
    _reply(event, answer)


def carry_out(event: dict[str, Any]) -> str:
    """The ARN of the resource after a Create, Update or Delete."""
    properties = event["ResourceProperties"]
    kind = KINDS.get(properties["Kind"])
    if kind is None:
        raise ValueError(f"AWS::Batch::{properties['Kind']} is not known to the embedded stack")
    if event["RequestType"] == "Delete":
        return _delete(kind, event["PhysicalResourceId"])
    request = _request(kind.create, properties.get("Request", {}))
    request.setdefault(kind.name, _generated_name(event["StackId"], properties["LogicalId"]))
    if event["RequestType"] == "Update":
        return _update(kind, request, event["PhysicalResourceId"])
    return _create(kind, request)


def _create(kind: Kind, request: dict[str, Any]) -> str:
    from botocore.exceptions import ClientError

    try:
        return str(getattr(_batch(), kind.create)(**request)[kind.arn])
    except ClientError as error:
        # The Batch server may remember more than the emulator, which forgets when it is killed: take over what is.
        if "already exists" not in str(error):
            raise
        return _update(kind, request, _find(kind, request[kind.name]))


def _update(kind: Kind, request: dict[str, Any], arn: str) -> str:
    if kind.update == kind.create:
        return str(getattr(_batch(), kind.create)(**request)[kind.arn])
    parameter = "arn" if kind.name == "name" else kind.arn.removesuffix("Arn")
    changes = {key: value for key, value in request.items() if key in _members(kind.update)}
    try:
        getattr(_batch(), kind.update)(**{**changes, parameter: arn})
    except _batch().exceptions.ClientException:
        if "schedulingPolicyArn" not in changes:
            raise
        return _replace_queue(request, changes, arn)
    return arn


def _replace_queue(request: dict[str, Any], changes: dict[str, Any], arn: str) -> str:
    """Batch adds no scheduling policy to a queue made without one: a new queue of the same name, and so ARN, has it.

    Whatever else is wrong with the changes is refused before the old queue goes.
    """
    others = {key: value for key, value in changes.items() if key != "schedulingPolicyArn"}
    _batch().update_job_queue(**{**others, "jobQueue": arn, "state": "DISABLED"})
    _batch().delete_job_queue(jobQueue=arn)
    return str(_batch().create_job_queue(**request)["jobQueueArn"])


def _delete(kind: Kind, arn: str) -> str:
    if kind.delete and arn.startswith("arn:"):
        parameter = "arn" if kind.name == "name" else kind.arn.removesuffix("Arn")
        getattr(_batch(), kind.delete)(**{parameter: arn})
    return arn


def _find(kind: Kind, name: str) -> str:
    operation, parameter, answer = kind.describe
    found = getattr(_batch(), operation)(**({parameter: [name]} if parameter else {}))[answer]
    return str(next(item[kind.arn] for item in found if item.get(kind.name, name) == name))


def _generated_name(stack_id: str, logical_id: str) -> str:
    return f"{stack_id.split('/')[1]}-{logical_id}"[:128]


@cache
def _batch() -> Any:
    import boto3

    return boto3.client("batch")


def _members(operation: str) -> dict[str, Any]:
    model = _batch().meta.service_model.operation_model(_batch().meta.method_to_api_mapping[operation])
    return dict(model.input_shape.members)


def _request(operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's spelling and text values as the API has them."""
    model = _batch().meta.service_model.operation_model(_batch().meta.method_to_api_mapping[operation])
    request = _shaped(model.input_shape, properties)
    return dict(request)


def _shaped(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        members = {name.lower(): name for name in shape.members}
        value = {key: each for key, each in value.items() if key not in STEERING}
        unknown = [key for key in value if key.lower() not in members]
        if unknown:
            raise ValueError(f"{shape.name} has no {', '.join(unknown)}")
        return {members[key.lower()]: _shaped(shape.members[members[key.lower()]], each) for key, each in value.items()}
    if shape.type_name == "list":
        return [_shaped(shape.member, each) for each in value]
    if shape.type_name == "map":
        return {key: _shaped(shape.value, each) for key, each in value.items()}
    return _SCALARS.get(shape.type_name, str)(value)


def _boolean(value: object) -> bool:
    return str(value).lower() == "true"


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": _boolean,
}


def _reply(event: dict[str, Any], answer: dict[str, Any]) -> None:
    body = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")} | answer
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(body).encode(), method="PUT")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310  CloudFormation gives the address
        pass
