"""A small template with every kind of thing that is translated, deployed onto the emulator and used."""

import base64
import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from infra.local.batch.server import BatchServer
from infra.local.deploy.errors import CannotTranslate, DeploymentFailed
from infra.local.deploy.stack import CACHE, deploy, functions
from infra.local.emulator.client import Emulator, client

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "local" / "template.yaml"


@pytest.fixture(scope="module")
def batch():
    with BatchServer() as server:
        yield server.endpoint


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with Emulator(tmp_path_factory.mktemp("emulator"), keep=True) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def outputs(emulator, batch):
    return deploy(SAMPLE, emulator.endpoint, "sample", {"Greeting": "hi"}, batch)


def ask(emulator, method, path, body=None, headers=None):
    """Status, headers and body, as they come over the wire."""
    connection = http.client.HTTPConnection(emulator.api.removeprefix("http://"), timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    try:
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def seen(emulator, *arguments):
    return json.loads(ask(emulator, *arguments)[2])


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def item(emulator, outputs, key):
    return emulator.client("dynamodb").get_item(TableName=outputs["Table"], Key={"pk": {"S": key}}).get("Item")


def test_a_form_reaches_the_function_as_aws_would_hand_it_over(emulator, outputs):
    form = {"Content-Type": "application/x-www-form-urlencoded", "X-Hub-Signature-256": "sha256=00"}
    event = seen(emulator, "POST", "/hooks/demo?a=1&a=2", b"name=%E4%BD%A0", form)["event"]
    assert event["routeKey"] == "POST /hooks/{project}"
    assert event["pathParameters"] == {"project": "demo"}
    assert (event["rawPath"], event["rawQueryString"]) == ("/hooks/demo", "a=1&a=2")
    assert event["headers"]["x-hub-signature-256"] == "sha256=00"
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == b"name=%E4%BD%A0"


def test_binary_comes_and_goes_unharmed(emulator, outputs):
    every_byte = bytes(range(256))
    event = seen(emulator, "PUT", "/x", every_byte, {"Content-Type": "application/octet-stream"})["event"]
    assert base64.b64decode(event["body"]) == every_byte
    status, headers, body = ask(emulator, "GET", "/binary")
    assert (status, headers["Content-Type"], body) == (200, "application/octet-stream", every_byte)


def test_json_stays_text(emulator, outputs):
    event = seen(emulator, "POST", "/x", b'{"a": 1}', {"Content-Type": "application/json"})["event"]
    assert (event["isBase64Encoded"], event["body"]) == (False, '{"a": 1}')


def test_a_refusal_keeps_its_status_and_challenge(emulator, outputs):
    status, headers, body = ask(emulator, "GET", "/denied")
    assert (status, headers["WWW-Authenticate"], body) == (401, 'Basic realm="x"', b"no")


def test_cookies_and_redirects_pass(emulator, outputs):
    status, headers, _ = ask(emulator, "GET", "/cookies")
    assert (status, headers["Location"]) == (303, "/next")
    assert headers.get_all("Set-Cookie") == ["a=1; Path=/", "b=2"]


def test_a_function_that_breaks_is_a_server_error(emulator, outputs):
    assert ask(emulator, "GET", "/broken")[0] in (500, 502)


def test_parameters_and_layers_arrive(emulator, outputs):
    answer = seen(emulator, "GET", "/x")
    assert (answer["greeting"], answer["word"]) == ("hi", "from the layer")
    assert answer["bytecode"].endswith(".pyc")


def test_an_image_function_has_its_own_packages_and_the_others_do_not(emulator, outputs):
    answer = emulator.client("lambda").invoke(FunctionName=outputs["ImageFunction"], Payload=b"{}")
    assert json.load(answer["Payload"])["word"] == "from the layer"
    from infra.local.deploy import dependencies

    assert not (dependencies.install(CACHE.parents[1], CACHE, dependencies.FUNCTIONS) / "git").exists()


def test_a_change_goes_through_stream_bus_and_queue_and_its_calls_are_counted(emulator, outputs):
    emulator.reset_calls()
    table = emulator.client("dynamodb")
    table.put_item(TableName=outputs["Table"], Item={"pk": {"S": "one"}, "asked": {"S": "1"}})
    until(lambda: item(emulator, outputs, "done#one"))
    made = Counter((call["caller"], call["operation"]) for call in emulator.calls())
    assert made["Publisher", "PutEvents"] == 1
    assert made["Consumer", "PutItem"] == 1


def test_batch_resources_are_on_the_batch_server(batch, outputs):
    server = client(batch, "batch")
    (definition,) = server.describe_job_definitions(jobDefinitions=[outputs["JobDefinition"]])["jobDefinitions"]
    assert definition["jobDefinitionName"].endswith("-runner")
    assert definition["containerProperties"]["command"] == ["run", "Ref::Mode"]
    assert definition["retryStrategy"]["evaluateOnExit"] == [{"action": "RETRY", "onStatusReason": "Host EC2*"}]
    (queue,) = server.describe_job_queues(jobQueues=[outputs["JobQueue"]])["jobQueues"]
    (environment,) = server.describe_compute_environments(
        computeEnvironments=[queue["computeEnvironmentOrder"][0]["computeEnvironment"]]
    )["computeEnvironments"]
    assert environment["computeResources"]["maxvCpus"] == 4


def test_a_second_deployment_changes_the_stack_in_place(emulator, batch, outputs, tmp_path):
    sample = shutil.copytree(SAMPLE.parent, tmp_path / "sample")
    text = (sample / "template.yaml").read_text()
    (sample / "template.yaml").write_text(
        text.replace("../../../layers/deps", str(CACHE.parents[1] / "layers" / "deps"))
    )
    (sample / "layers/core/python/sample/word.py").write_text("WORD = 'another'\n")
    emulator.client("dynamodb").put_item(TableName=outputs["Table"], Item={"pk": {"S": "kept"}})
    again = deploy(sample / "template.yaml", emulator.endpoint, "sample", {"Greeting": "again"}, batch)
    assert again == outputs
    answer = seen(emulator, "GET", "/x")
    assert (answer["greeting"], answer["word"]) == ("again", "another")
    assert item(emulator, outputs, "kept")


def template(tmp_path, resources):
    path = tmp_path / "template.yaml"
    path.write_text(json.dumps({"Resources": resources}))
    return path


def test_a_type_that_nobody_knows_is_named(emulator, batch, tmp_path):
    unknown = template(tmp_path, {"Garden": {"Type": "AWS::Garden::Gnome"}})
    with pytest.raises(DeploymentFailed, match="AWS::Garden::Gnome"):
        deploy(unknown, emulator.endpoint, "unknown", {}, batch)


def test_a_failure_names_the_resource_and_the_reason_and_can_be_mended(emulator, batch, tmp_path):
    definition = {"Type": "container", "ContainerProperties": {"Image": "x", "Command": ["a"], "Wings": "2"}}
    broken = {"Definition": {"Type": "AWS::Batch::JobDefinition", "Properties": definition}}
    with pytest.raises(DeploymentFailed, match=r"Definition .*Wings"):
        deploy(template(tmp_path, broken), emulator.endpoint, "mended", {}, batch)
    whole = {"Table": {"Type": "AWS::SQS::Queue"}}
    assert deploy(template(tmp_path, whole), emulator.endpoint, "mended", {}, batch) == {}
    for unknown in ("Horns", "Tail"):  # each is rolled back, and the next failure tells of itself alone
        definition["ContainerProperties"] = {"Image": "x", "Command": ["a"], unknown: "2"}
        with pytest.raises(DeploymentFailed) as failed:
            deploy(template(tmp_path, whole | broken), emulator.endpoint, "mended", {}, batch)
        assert [word for word in ("Wings", "Horns", "Tail") if word in str(failed.value)] == [unknown]
    assert deploy(template(tmp_path, whole), emulator.endpoint, "mended", {}, batch) == {}


def test_an_unknown_parameter_and_a_missing_folder_are_named(emulator, batch, tmp_path):
    with pytest.raises(CannotTranslate, match="Colour"):
        deploy(SAMPLE, emulator.endpoint, "wrong", {"Colour": "red"}, batch)
    missing = {"F": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "nowhere"}}}
    with pytest.raises(CannotTranslate, match="nowhere"):
        deploy(template(tmp_path, missing), emulator.endpoint, "wrong", {}, batch)


def test_everything_is_there_after_a_restart_and_changes_still_speak(tmp_path, batch):
    with Emulator(tmp_path, keep=True) as first:
        outputs = deploy(SAMPLE, first.endpoint, "sample", {}, batch)
        table = first.client("dynamodb")
        for number in range(3):
            table.put_item(TableName=outputs["Table"], Item={"pk": {"S": f"k{number}"}, "asked": {"S": "1"}})
            until(lambda key=f"done#k{number}": item(first, outputs, key))
        first.client("s3").create_bucket(Bucket="kept")
        first.client("s3").put_object(Bucket="kept", Key="a", Body=b"bytes")
        before = functions(first.endpoint, "sample")
    with Emulator(tmp_path, keep=True) as second:
        assert second.endpoint == first.endpoint
        assert functions(second.endpoint, "sample") == before
        assert second.client("s3").get_object(Bucket="kept", Key="a")["Body"].read() == b"bytes"
        assert item(second, outputs, "done#k1")
        assert seen(second, "GET", "/x")["word"] == "from the layer"
        second.client("dynamodb").put_item(TableName=outputs["Table"], Item={"pk": {"S": "after"}, "asked": {"S": "1"}})
        until(lambda: item(second, outputs, "done#after"))


NESTED = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
  Bucket: {Type: AWS::S3::Bucket}
  Queue:
    Type: AWS::Batch::JobQueue
    Properties:
      JobQueueName: kept
      Priority: 1
      ComputeEnvironmentOrder: [{Order: 1, ComputeEnvironment: !Ref Environment}]
  Environment:
    Type: AWS::Batch::ComputeEnvironment
    Properties: {Type: MANAGED, ComputeResources: {Type: EC2, MaxvCpus: 4, Subnets: [s], InstanceTypes: [optimal]}}
Outputs:
  Table: {Value: !Ref Table}
  Stream: {Value: !GetAtt Table.StreamArn}
"""
PARENT = """
Resources:
  Storage: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: nested.yaml}}
Outputs:
  Table: {Value: !GetAtt Storage.Outputs.Table}
  Stream: {Value: !GetAtt Storage.Outputs.Stream}
"""


def test_a_kept_stack_takes_a_changed_template_and_loses_nothing(tmp_path, batch):
    """Beside the table that stays, the bucket changes, and the queue in a way that Batch refuses."""
    (tmp_path / "parent.yaml").write_text(PARENT)
    (tmp_path / "nested.yaml").write_text(NESTED)
    state = tmp_path / "state"
    with Emulator(state, keep=True) as first:
        before = deploy(tmp_path / "parent.yaml", first.endpoint, "kept", {}, batch)
        first.client("dynamodb").put_item(TableName=before["Table"], Item={"pk": {"S": "kept"}})
    tagged = "{Type: AWS::S3::Bucket, Properties: {Tags: [{Key: a, Value: b}]}}"
    changed = NESTED.replace("{Type: AWS::S3::Bucket}", tagged)
    changed = changed.replace("      Priority: 1\n", "      Priority: 2\n      SchedulingPolicyArn: !Ref Fair\n")
    changed = changed.replace("Resources:\n", "Resources:\n  Fair: {Type: AWS::Batch::SchedulingPolicy}\n", 1)
    (tmp_path / "nested.yaml").write_text(changed)
    with Emulator(state, keep=True) as second:
        assert deploy(tmp_path / "parent.yaml", second.endpoint, "kept", {}, batch) == before
        assert item(second, before, "kept")
    server = client(batch, "batch")
    (queue,) = server.describe_job_queues(jobQueues=["kept"])["jobQueues"]
    assert queue["priority"] == 2
    assert queue["schedulingPolicyArn"]


def test_before_a_deployment_the_front_door_says_so(tmp_path):
    with Emulator(tmp_path) as emulator:
        assert ask(emulator, "GET", "/")[0] == 503
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(emulator.endpoint + "/_trainyard/nothing", timeout=5)


def test_stopping_the_emulator_ends_its_functions(tmp_path, batch):
    with Emulator(tmp_path) as emulator:
        deploy(SAMPLE, emulator.endpoint, "sample", {}, batch)
        seen(emulator, "GET", "/x")
        assert workers(tmp_path)
    assert not workers(tmp_path)
    assert not (tmp_path / "tmp").exists()


def workers(state):
    """Processes that run out of this emulator's folder."""
    found = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{state}/tmp/".encode() in arguments.read_bytes():
                found.append(arguments)
        except OSError:
            continue
    return found
