"""What every consumer, function and event has, whoever adds one."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from unit.infra.templates import OBSERVABILITY, ROOT, functions, properties_of, template

from trainyard.model.event_name import EventName
from trainyard.model.events import SOURCE
from trainyard.model.settings import Settings

FUNCTIONS = functions()
QUEUES = properties_of("AWS::SQS::Queue")
RULES = properties_of("AWS::Events::Rule")
CONSUMERS = sorted(name for name, each in FUNCTIONS.items() if "Message" in each["Events"])

# Events that no function acts on; report_status hears of every run.* besides.
ONLY_REPORTED = {
    EventName.RUN_REJECTED,
    EventName.RUN_QUEUED,
    EventName.RUN_STARTING,
    EventName.RUN_RUNNING,
    EventName.RUN_EVALUATED,
}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _hears(rule: Any, event: EventName) -> bool:
    pattern = rule["EventPattern"]
    if pattern["source"] != [SOURCE]:
        return False
    return any(
        event.value == wanted if isinstance(wanted, str) else event.value.startswith(wanted["prefix"])
        for wanted in pattern["detail-type"]
    )


def test_every_folder_of_functions_is_deployed_and_every_function_has_one() -> None:
    assert set(FUNCTIONS) == {each.parent.name for each in (ROOT / "functions").glob("*/app.py")}
    for name, each in FUNCTIONS.items():
        assert each.get("CodeUri", f"functions/{name}/") == f"functions/{name}/"


@pytest.mark.parametrize("name", CONSUMERS)
def test_a_consumer_has_its_own_queue_and_dead_letters(name: str) -> None:
    function, queue, dead = FUNCTIONS[name], QUEUES[f"{_camel(name)}Queue"], QUEUES[f"{_camel(name)}Dead"]
    timeout = function.get("Timeout", template()["Globals"]["Function"]["Timeout"])
    message = function["Events"]["Message"]["Properties"]
    assert message["Queue"] == {"Fn::GetAtt": [f"{_camel(name)}Queue", "Arn"]}
    assert message["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert queue["VisibilityTimeout"] >= 6 * timeout
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [f"{_camel(name)}Dead", "Arn"]},
        "maxReceiveCount": 5,
    }
    assert dead["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert dead["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]


@pytest.mark.parametrize("name", CONSUMERS)
def test_a_consumer_has_one_rule_that_feeds_its_queue_and_may(name: str) -> None:
    target = {"Fn::GetAtt": [f"{_camel(name)}Queue", "Arn"]}
    feeding = [rule for rule, each in RULES.items() if target in [one["Arn"] for one in each["Targets"]]]
    assert feeding == [f"{_camel(name)}Rule"]
    (policy,) = properties_of("AWS::SQS::QueuePolicy").values()
    allowed = policy["PolicyDocument"]["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert {"Fn::GetAtt": [f"{_camel(name)}Rule", "Arn"]} in allowed
    assert {"Ref": f"{_camel(name)}Queue"} in policy["Queues"]
    assert {"Ref": f"{_camel(name)}Dead"} in policy["Queues"], "the rule's own dead letters go there"


def test_every_queue_is_encrypted() -> None:
    assert all(each["SqsManagedSseEnabled"] is True for each in QUEUES.values())


def test_the_stream_s_reader_loses_nothing() -> None:
    changes = FUNCTIONS["publish_changes"]["Events"]["Changes"]["Properties"]
    assert changes["BisectBatchOnFunctionError"] is True
    assert changes["MaximumRetryAttempts"] > 0
    assert changes["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert changes["StartingPosition"] == "TRIM_HORIZON"
    assert changes["DestinationConfig"]["OnFailure"] == {
        "Type": "SQS",
        "Destination": {"Fn::GetAtt": ["PublishChangesDead", "Arn"]},
    }


@pytest.mark.parametrize("event", list(EventName))
def test_every_event_has_a_consumer_or_is_listed_as_having_none(event: EventName) -> None:
    acting = [name for name, rule in RULES.items() if name != "ReportStatusRule" and _hears(rule, event)]
    assert bool(acting) != (event in ONLY_REPORTED)
    assert _hears(RULES["ReportStatusRule"], event) == event.value.startswith("run.")


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_names_only_events_that_exist(rule: str) -> None:
    pattern = RULES[rule]["EventPattern"]
    if pattern["source"] == [SOURCE]:
        wanted = [each for each in pattern["detail-type"] if isinstance(each, str)]
        assert set(wanted) <= {each.value for each in EventName}
        assert RULES[rule]["EventBusName"] == {"Ref": "Bus"}


def test_job_events_come_from_our_own_queues_alone() -> None:
    pattern = RULES["TrackJobRule"]["EventPattern"]
    assert "EventBusName" not in RULES["TrackJobRule"], "AWS sends them to the default bus"
    assert pattern["detail"]["jobQueue"][0]["prefix"]["Fn::Sub"].endswith(":job-queue/${AWS::StackName}-")
    queues = properties_of("AWS::Batch::JobQueue", ROOT / "infra" / "fleet.yaml").values()
    assert queues
    assert all(each["JobQueueName"]["Fn::Sub"].startswith("${Name}-") for each in queues)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_logs_into_a_group_that_forgets(name: str) -> None:
    logging = FUNCTIONS[name]["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"
    assert logging["LogGroup"] == {"Fn::Sub": f"${{Observability.Outputs.LogPrefix}}/{name}"}
    group = properties_of("AWS::Logs::LogGroup", OBSERVABILITY)[f"{_camel(name)}Log"]
    assert group == {
        "LogGroupName": {"Fn::Sub": f"/trainyard/${{Name}}/{name}"},
        "RetentionInDays": {"Ref": "RetentionDays"},
    }


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_s_faults_are_counted_and_shown(name: str) -> None:
    filters = properties_of("AWS::Logs::MetricFilter", OBSERVABILITY)
    assert filters[f"{_camel(name)}Faults"]["LogGroupName"] == {"Ref": f"{_camel(name)}Log"}
    (board,) = properties_of("AWS::CloudWatch::Dashboard", OBSERVABILITY).values()
    assert f"${{Name}}-{name}" in board["DashboardBody"]["Fn::Sub"]


def test_every_dead_letter_queue_is_watched() -> None:
    alarm = properties_of("AWS::CloudWatch::Alarm", OBSERVABILITY)["DeadLettersAlarm"]
    watched = {
        each["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Fn::Sub"].replace("${Name}", "${AWS::StackName}")
        for each in alarm["Metrics"]
        if "MetricStat" in each
    }
    assert watched == {each["QueueName"]["Fn::Sub"] for name, each in QUEUES.items() if name.endswith("Dead")}


def test_the_dashboard_is_what_cloudwatch_can_read() -> None:
    (board,) = properties_of("AWS::CloudWatch::Dashboard", OBSERVABILITY).values()
    widgets = json.loads(board["DashboardBody"]["Fn::Sub"])["widgets"]
    assert {each["type"] for each in widgets} == {"metric", "log"}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_is_told_only_what_settings_read(name: str) -> None:
    variables = {
        **template()["Globals"]["Function"]["Environment"]["Variables"],
        **FUNCTIONS[name].get("Environment", {}).get("Variables", {}),
    }
    known = {f"TRAINYARD_{field.upper()}" for field in Settings.model_fields}
    assert {each for each in variables if each.startswith("TRAINYARD_")} <= known


def test_every_setting_is_given_to_some_function() -> None:
    given = set(template()["Globals"]["Function"]["Environment"]["Variables"])
    for each in FUNCTIONS.values():
        given |= set(each.get("Environment", {}).get("Variables", {}))
    assert {f"TRAINYARD_{field.upper()}" for field in Settings.model_fields} <= given


@pytest.mark.parametrize(
    "path", ["template.yaml", *(f"infra/{name}.yaml" for name in ("compute", "fleet", "images", "network", "storage"))]
)
def test_every_parameter_says_what_it_is(path: str) -> None:
    for name, each in template(ROOT / path)["Parameters"].items():
        assert each.get("Description"), name


def test_every_parameter_of_the_stack_is_in_a_group() -> None:
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(template()["Parameters"])


def test_state_outlives_the_stack() -> None:
    storage = template(ROOT / "infra" / "storage.yaml")["Resources"]
    for name in ("Table", "Bucket"):
        assert storage[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert storage[name]["UpdateReplacePolicy"] == "Retain"
    assert storage["Table"]["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert storage["Bucket"]["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(storage["Bucket"]["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}


def test_the_layer_s_requirements_are_the_lock_file_s() -> None:
    """`make -C layers/deps requirements.txt` writes them anew."""
    exported = subprocess.run(
        [
            *(str(ROOT / ".venv" / "bin" / "uv"), "export", "--frozen", "--offline", "--quiet", "--no-header"),
            *("--no-emit-project", "--no-default-groups", "--extra", "server", "--prune", "rich", "--prune", "shtab"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (ROOT / "layers" / "deps" / "requirements.txt").read_text() == exported.stdout


def test_both_layers_are_compiled_the_same_way() -> None:
    scripts = {(ROOT / "layers" / layer / "compile.sh").read_text() for layer in ("core", "deps")}
    assert len(scripts) == 1
