"""Roles allow what is done and no more."""

from __future__ import annotations

from typing import Any

import pytest
from unit.infra.templates import every_resource, functions, listed, statements

# Actions for which AWS knows no resource but '*', each with the reason why it is needed.
WITHOUT_RESOURCE = {
    "batch:ListJobs": "a job is found by its name, after a submission whose answer was lost",
    "batch:DescribeJobs": "the sweep asks after jobs whose events were lost, and the API after one that waits",
    "sts:GetWebIdentityToken": "AWS vouches for who asks Huawei Cloud for credentials, where no key of it is stored",
}
# Resources of which only a part can be named before they exist.
JOBS = "arn:${AWS::Partition}:batch:${AWS::Region}:${AWS::AccountId}:job/*"

STATEMENTS = list(statements())


def _named(entry: tuple[str, str, Any]) -> str:
    return f"{entry[0]}-{entry[1]}-{entry[2]['Sid']}"


@pytest.mark.parametrize("entry", STATEMENTS, ids=_named)
def test_actions_are_named_one_by_one(entry: tuple[str, str, Any]) -> None:
    for action in listed(entry[2]["Action"]):
        assert "*" not in action
        assert action.partition(":")[1], action


@pytest.mark.parametrize("entry", STATEMENTS, ids=_named)
def test_resources_are_named_too(entry: tuple[str, str, Any]) -> None:
    if listed(entry[2]["Resource"]) == ["*"]:
        assert set(listed(entry[2]["Action"])) <= set(WITHOUT_RESOURCE)
        return
    for resource in listed(entry[2]["Resource"]):
        assert resource != "*"
        text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
        if text == JOBS:
            actions = set(listed(entry[2]["Action"]))
            assert actions == {"batch:TagResource"} or "aws:ResourceTag/trainyard:run" in str(entry[2]["Condition"])
            continue
        owner, _, tail = text.partition("/")
        assert "*" not in owner, text
        assert tail != "*", text


def test_the_list_of_exceptions_is_no_longer_than_needed() -> None:
    used = {
        action for _, _, each in STATEMENTS if listed(each["Resource"]) == ["*"] for action in listed(each["Action"])
    }
    assert used == set(WITHOUT_RESOURCE)


def test_every_function_has_a_role_of_its_own() -> None:
    roles = [each["Role"]["Fn::GetAtt"][0] for each in functions().values()]
    assert len(set(roles)) == len(roles)
    written = {role for path, role, _ in STATEMENTS if path == "template.yaml"}
    assert written == set(roles)


def test_only_the_machines_have_a_policy_that_aws_wrote() -> None:
    """AWS's own policies for functions allow every log group and every queue of the account."""
    managed = {
        name: each["Properties"]["ManagedPolicyArns"]
        for _, name, each in every_resource()
        if each["Type"] == "AWS::IAM::Role" and "ManagedPolicyArns" in each["Properties"]
    }
    assert set(managed) == {"MachineRole"}
    assert not [name for name, each in functions().items() if "Policies" in each]


def test_only_who_must_may_read_secrets() -> None:
    readers = {role for _, role, each in STATEMENTS if "ssm:GetParameter" in listed(each["Action"])}
    assert readers == {
        "ReceivePushRole",
        "ApiRole",
        "ValidateRepoRole",
        "ReportStatusRole",
        "SweepRole",
        "EvaluateRunRole",
        # The keys of Huawei Cloud.
        "EnqueueJobRole",
        "TrackJobRole",
        "CarrierRole",
    }


def test_jobs_reach_neither_table_nor_secrets_nor_bus() -> None:
    services = {
        action.partition(":")[0]
        for path, role, each in STATEMENTS
        if (path, role) == ("compute.yaml", "RunRole")
        for action in listed(each["Action"])
    }
    # The layers of images that the operator names, narrowed to the run's own image (submission/credentials.py).
    assert services == {"s3", "ecr"}
