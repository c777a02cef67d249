"""One stack is created or changed in place, and waited for; a failure names the resource and the reason."""

from __future__ import annotations

import time
from typing import Any

from infra.local.deploy.errors import DeploymentFailed
from trainyard.model.text import Text

DEPLOY_SECONDS = 180.0
POLL_SECONDS = 0.05
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_UNUSABLE = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"}


def apply(client: Any, stack: str, template_url: str, parameters: dict[str, str]) -> dict[str, str]:
    """Create the stack, or update it if it is there; its outputs. DeploymentFailed within DEPLOY_SECONDS otherwise."""
    request = {
        "StackName": stack,
        "TemplateURL": template_url,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": _CAPABILITIES,
    }
    existing = _describe(client, stack)
    if existing and existing["StackStatus"] in _UNUSABLE:
        client.delete_stack(StackName=stack)
        _wait(client, stack)
        existing = None
    good = ["CREATE_COMPLETE", "UPDATE_COMPLETE"]
    if _ask(client.update_stack if existing else client.create_stack, request):
        _wait(client, stack)
    else:
        good.append("UPDATE_ROLLBACK_COMPLETE")  # to this very template, after another one was refused
    done = _describe(client, stack)
    if done is None or done["StackStatus"] not in good:
        raise _failure(client, stack, done)
    return {output["OutputKey"]: output["OutputValue"] for output in done.get("Outputs", [])}


def resources(client: Any, stack: str) -> dict[str, tuple[str, str]]:
    """Logical id -> (type, physical id), of the stack and of those nested in it."""
    found: dict[str, tuple[str, str]] = {}
    for page in client.get_paginator("list_stack_resources").paginate(StackName=stack):
        for item in page["StackResourceSummaries"]:
            found[item["LogicalResourceId"]] = (item["ResourceType"], item["PhysicalResourceId"])
            if item["ResourceType"] == "AWS::CloudFormation::Stack":
                found |= resources(client, item["PhysicalResourceId"])
    return found


def _ask(operation: Any, request: dict[str, Any]) -> bool:
    """Whether there is anything to wait for. A template that is refused as a whole is a DeploymentFailed."""
    from botocore.exceptions import ClientError

    try:
        operation(**request)
    except ClientError as error:
        message = error.response["Error"]["Message"]
        if "No updates are to be performed" in message:
            return False
        raise DeploymentFailed(
            Text(en=f"The emulator refused the template: {message}", zh=f"模拟器拒绝了模板：{message}")
        ) from error
    return True


def _describe(client: Any, stack: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        return dict(client.describe_stacks(StackName=stack)["Stacks"][0])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise


def _wait(client: Any, stack: str) -> None:
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        described = _describe(client, stack)
        if described is None or not described["StackStatus"].endswith("IN_PROGRESS"):
            return
        time.sleep(POLL_SECONDS)
    raise DeploymentFailed(
        Text(
            en=f"Stack {stack} was not ready within {DEPLOY_SECONDS:.0f} s.\n{_last_event(client, stack)}",
            zh=f"堆栈 {stack} 在 {DEPLOY_SECONDS:.0f} 秒内未就绪。\n{_last_event(client, stack)}",
        )
    )


def _failure(client: Any, stack: str, described: dict[str, Any] | None) -> DeploymentFailed:
    status = described["StackStatus"] if described else "gone"
    lines = "\n".join(f"  {line}" for line in _failed_resources(client, stack))
    return DeploymentFailed(
        Text(en=f"Stack {stack} is {status}:\n{lines}", zh=f"堆栈 {stack} 的状态为 {status}：\n{lines}")
    )


def _failed_resources(client: Any, stack: str) -> list[str]:
    """What failed in the newest create or update, oldest first."""
    newest: list[dict[str, Any]] = []
    for event in client.describe_stack_events(StackName=stack)["StackEvents"]:
        newest.append(event)
        if event["LogicalResourceId"] == stack and event["ResourceStatus"] in (
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
        ):
            break
    return [
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '')}"
        for event in reversed(newest)
        if event["ResourceStatus"].endswith("FAILED")
    ]


def _last_event(client: Any, stack: str) -> str:
    events = client.describe_stack_events(StackName=stack)["StackEvents"]
    return f"{events[0]['LogicalResourceId']}: {events[0]['ResourceStatus']}" if events else ""
