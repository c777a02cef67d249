"""Which AWS call a request is."""

import json

import pytest

from infra.local.emulator.calls import Call, CallLog, MadeCall, Sent, identify, sent_by


def signed(service, agent="aws-sdk", **headers):
    scope = f"AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host"
    return {
        "authorization": scope,
        "user-agent": agent,
        **{name.replace("_", "-"): each for name, each in headers.items()},
    }


def test_a_json_call_is_named_by_its_target_and_its_caller_by_the_application_id():
    headers = signed("dynamodb", "Boto3/1 md/x app/EnqueueJob", x_amz_target="DynamoDB_20120810.UpdateItem")
    assert identify("POST", "/", "", headers, b"") == Call("EnqueueJob", "dynamodb", "UpdateItem")


def test_a_query_call_is_named_by_its_body():
    headers = signed("sts", content_type="application/x-www-form-urlencoded; charset=utf-8")
    assert identify("POST", "/", "", headers, b"Action=AssumeRole&Version=1") == Call("(outside)", "sts", "AssumeRole")


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/bucket", "list-type=2", "ListObjectsV2"),
        ("GET", "/bucket/a/b", "", "GetObject"),
        ("PUT", "/bucket/a", "", "PutObject"),
        ("HEAD", "/bucket/a", "", "HeadObject"),
        ("POST", "/bucket", "delete", "DeleteObjects"),
        ("POST", "/bucket/a", "uploads", "CreateMultipartUpload"),
        ("PUT", "/bucket/a", "partNumber=1&uploadId=x", "UploadPart"),
        ("POST", "/bucket/a", "uploadId=x", "CompleteMultipartUpload"),
    ],
)
def test_s3_calls_are_named_by_method_and_address(method, path, query, operation):
    assert identify(method, path, query, signed("s3"), b"") == Call("(outside)", "s3", operation)


def test_a_presigned_address_is_a_call_too():
    query = "X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0"
    assert identify("GET", "/bucket/a", query, {}, b"") == Call("(outside)", "s3", "GetObject")


def test_a_webhook_is_no_call():
    assert identify("POST", "/hooks/github/a/b", "", {"authorization": "Basic eDp5"}, b"{}") is None


def test_what_a_call_put_is_weighed():
    item = {"pk": {"S": "RUN#1"}, "version": {"N": "12"}}
    row = Sent(16, {"pk": "RUN#1", "version": "12"})
    assert sent_by("PutItem", json.dumps({"Item": item}).encode()) == [row]
    both = {"TransactItems": [{"Put": {"Item": item}}, {"ConditionCheck": {"Key": {}}}]}
    assert sent_by("TransactWriteItems", json.dumps(both).encode()) == [row]
    assert [sent.size for sent in sent_by("PutEvents", b'{"Entries": [{"Detail": "ab"}, {}]}')] == [16, 2]
    assert sent_by("GetItem", b"{}") == []


def test_the_newest_calls_are_reported_and_forgotten():
    log = CallLog(kept=2)
    for operation in ("GetObject", "PutObject", "PutItem"):
        log.add(MadeCall(Call("Api", "s3", operation), 1.0, 0.5, [Sent(3, {"pk": "x"})], 7))
    assert [call["operation"] for call in log.report()] == ["PutObject", "PutItem"]
    assert log.report()[1] == {
        "caller": "Api", "service": "s3", "operation": "PutItem", "at": 1.0, "seconds": 0.5,
        "sent": [{"size": 3, "attributes": {"pk": "x"}}], "returned": 7,
    }  # fmt: skip
    log.reset()
    assert log.report() == []
