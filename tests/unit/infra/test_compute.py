"""What trains: every flavor has its machines and queues, every definition what a training needs."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from unit.infra.templates import MAIN, ROOT, properties_of, template

from trainyard.compute.aws_batch import _QUEUE_OF, _RETRIED, _RETRIED_NODES
from trainyard.model.catalogue import Accelerator, load_catalogue

COMPUTE = ROOT / "infra" / "compute.yaml"
FLEET = ROOT / "infra" / "fleet.yaml"
FAMILIES = {
    each["Properties"]["Parameters"]["Family"]: each
    for each in template(COMPUTE)["Resources"].values()
    if each["Type"] == "AWS::CloudFormation::Stack"
}
DEFINITIONS = properties_of("AWS::Batch::JobDefinition", COMPUTE)
BATCH_FLAVORS = [
    each for each in load_catalogue().flavors if not each.retired and each.queue and each.queue != "ascend"
]


def _container(definition: dict[str, Any]) -> dict[str, Any]:
    """Of a job, or of each of its nodes."""
    ranges = definition.get("NodeProperties", {}).get("NodeRangeProperties")
    container: dict[str, Any] = ranges[0]["Container"] if ranges else definition["ContainerProperties"]
    return container


@pytest.mark.parametrize("flavor", BATCH_FLAVORS, ids=lambda flavor: flavor.name)
def test_a_flavor_s_machine_is_in_its_family(flavor: Any) -> None:
    parameters = FAMILIES[flavor.queue]["Properties"]["Parameters"]
    assert flavor.instance in parameters["InstanceTypes"].split(",")
    nvidia = parameters["ImageType"].endswith("_NVIDIA")
    assert nvidia == (flavor.accelerator is Accelerator.NVIDIA)


def test_every_family_has_a_flavor_and_a_way_to_leave_it_out() -> None:
    assert {each.queue for each in BATCH_FLAVORS} == set(FAMILIES)
    for family, each in FAMILIES.items():
        limit = each["Properties"]["Parameters"]["MaxVcpus"]["Ref"]
        assert template(MAIN)["Parameters"][limit]["MinValue"] == 0
        if family != "cpu":
            wanted = {"Fn::Not": [{"Fn::Equals": [{"Ref": limit}, "0"]}]}
            assert template(COMPUTE)["Conditions"][each["Condition"]] == wanted
            assert template(MAIN)["Parameters"][limit]["Default"] == 0, "GPUs cost nothing until they are asked for"


def test_functions_are_told_how_many_machines_each_family_may_have() -> None:
    told = template(COMPUTE)["Outputs"]["MaxVcpus"]["Value"]["Fn::Sub"]
    limits = {family: each["Properties"]["Parameters"]["MaxVcpus"]["Ref"] for family, each in FAMILIES.items()}
    assert json.loads(re.sub(r"\$\{(\w+)\}", r'"\1"', told)) == limits


def test_gpus_need_their_image() -> None:
    rule = template(MAIN)["Rules"]["GpuNeedsItsImage"]
    asked = {each["Fn::Not"][0]["Fn::Equals"][0]["Ref"] for each in rule["RuleCondition"]["Fn::Or"]}
    limits = {each["Properties"]["Parameters"]["MaxVcpus"]["Ref"] for each in FAMILIES.values()}
    assert asked == limits - {"MaxCpuVcpus"}


def test_a_fleet_has_a_queue_for_every_way_to_wait() -> None:
    queues = properties_of("AWS::Batch::JobQueue", FLEET)
    names = {each["JobQueueName"]["Fn::Sub"].removeprefix("${Name}-${Family}") for each in queues.values()}
    assert names == {*_QUEUE_OF.values(), "-nodes"}
    order = [each["ComputeEnvironment"]["Ref"] for each in queues["SpotFirstQueue"]["ComputeEnvironmentOrder"]]
    assert order == ["Spot", "OnDemand"]
    for each in queues.values():
        assert each["SchedulingPolicyArn"] == {"Ref": "SchedulingPolicy"}
        ended = {limit["Reason"].partition(":")[2] for limit in each["JobStateTimeLimitActions"]}
        assert ended == {
            "INSUFFICIENT_INSTANCE_CAPACITY",
            "COMPUTE_ENVIRONMENT_MAX_RESOURCE",
            "JOB_RESOURCE_REQUIREMENT",
        }


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_a_definition_retries_hosts_and_not_scripts(name: str) -> None:
    rules = DEFINITIONS[name]["RetryStrategy"]["EvaluateOnExit"]
    assert {"OnStatusReason": "Host EC2*", "Action": "RETRY"} in rules
    assert rules[-1] == {"OnReason": "*", "Action": "EXIT"}
    known = _RETRIED_NODES if DEFINITIONS[name]["Type"] == "multinode" else _RETRIED
    assert [{key[0].lower() + key[1:]: value for key, value in rule.items()} for rule in rules] == known
    assert len(rules) <= 5


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_a_definition_bounds_what_it_runs(name: str) -> None:
    definition = DEFINITIONS[name]
    container = _container(definition)
    assert definition["Timeout"]["AttemptDurationSeconds"]
    # To show a script another system the runner has to mount; see DECISIONS.md.
    assert container["Privileged"] is (name in ("ImageDefinition", "ImageCudaDefinition"))
    assert container["ReadonlyRootFilesystem"] is True
    assert {each["Name"] for each in container["Ulimits"]} >= {"nofile", "core"}
    assert container["LinuxParameters"]["InitProcessEnabled"] is True
    # Carriers run no script.
    assert name == "CarrierDefinition" or container["LinuxParameters"]["SharedMemorySize"] >= 2048
    assert container["LogConfiguration"]["Options"]["awslogs-group"] == {"Ref": "JobLogs"}


@pytest.mark.parametrize("name", ["Cpu", "Cuda"])
def test_a_node_is_what_a_single_machine_is(name: str) -> None:
    nodes = DEFINITIONS[f"{name}NodesDefinition"]
    (whole,) = nodes["NodeProperties"]["NodeRangeProperties"]
    assert (nodes["Type"], nodes["NodeProperties"]["MainNode"], whole["TargetNodes"]) == ("multinode", 0, "0:")
    alone = copy.deepcopy(_container(DEFINITIONS[f"{name}Definition"]))
    alone["LogConfiguration"]["Options"]["awslogs-stream-prefix"] += "-nodes"
    assert whole["Container"] == alone


def test_nodes_have_a_private_network_of_their_own_in_which_they_meet() -> None:
    network = template(ROOT / "infra" / "network.yaml")["Resources"]
    assert not network["NodesSubnet"]["Properties"].get("MapPublicIpOnLaunch")
    assert network["NodesRouteOut"]["Properties"]["NatGatewayId"] == {"Ref": "NodesNatGateway"}
    (inwards,) = network["NodesMeet"]["Properties"]["SecurityGroupIngress"]
    assert inwards["CidrIp"] == network["NodesSubnet"]["Properties"]["CidrBlock"]
    environment = template(FLEET)["Resources"]["Nodes"]["Properties"]["ComputeResources"]
    assert environment["Type"] == "EC2", "Batch runs multi-node jobs on on-demand machines alone"
    assert environment["Subnets"] == [{"Ref": "NodesSubnet"}]


@pytest.mark.parametrize("framework", load_catalogue().frameworks, ids=lambda framework: framework.name)
def test_a_framework_s_definition_is_there(framework: Any) -> None:
    if framework.retired or framework.backend != "aws_batch":
        return
    assert f"{framework.job_definition.capitalize()}Definition" in DEFINITIONS


@pytest.mark.parametrize("name", sorted(template(ROOT / "infra" / "images.yaml")["Resources"]))
def test_every_image_has_a_folder_and_no_tag_as_its_base(name: str) -> None:
    repository = template(ROOT / "infra" / "images.yaml")["Resources"][name]["Properties"]["RepositoryName"]["Fn::Sub"]
    dockerfile = (ROOT / "infra" / "images" / repository.rpartition("/")[2] / "Dockerfile").read_text()
    froms = [line for line in dockerfile.splitlines() if line.startswith("FROM ")]
    assert froms == ["FROM ${BASE}"], "the digest is pinned by infra/images/push"
    assert "--require-hashes" in dockerfile


def test_scripts_are_shut_in_the_same_way_on_gpus() -> None:
    cpu, cuda = ((ROOT / "infra" / "images" / name / "Dockerfile").read_text() for name in ("cpu", "cuda"))
    begin = "# Packages are unpacked by the one"
    assert cpu[cpu.index(begin) :] == cuda[cuda.index(begin) :]


@pytest.mark.parametrize(
    "of", ["ContainerProperties", "TaskContainerProperties", "EcsTaskProperties", "LinuxParameters"]
)
def test_batch_offers_no_smaller_right_than_privileged(of: str) -> None:
    """Where this fails, Batch has learned it: give the job definition `image` SYS_ADMIN alone."""
    from botocore.session import get_session

    fields = get_session().get_service_model("batch").shape_for(of).members
    assert {"capabilities", "dockerSecurityOptions", "securityOptions"}.isdisjoint(fields)
