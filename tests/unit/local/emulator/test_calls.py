"""Which AWS call a request is."""

import pytest

from infra.local.emulator.calls import Call, CallCounter, identify


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


def test_counts_are_reported_and_reset():
    counter = CallCounter()
    for _ in range(2):
        counter.add(Call("Api", "s3", "GetObject"))
    assert counter.report() == [{"caller": "Api", "service": "s3", "operation": "GetObject", "count": 2}]
    counter.reset()
    assert counter.report() == []
