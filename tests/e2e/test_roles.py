"""Roles allow what the functions were seen to do in the other end-to-end tests, and nothing to spare. The file's name puts it behind them.

That nothing is missing is told by those tests themselves: the emulator refuses what a role does not allow.
"""

from __future__ import annotations

from collections import defaultdict

import pytest
from unit.infra.templates import listed, statements

from infra.local.stack import Stack

pytestmark = pytest.mark.e2e

# What AWS does for a function with its role, or what an answer that never comes here needs.
BY_AWS = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ChangeMessageVisibility",  # a message that could not be handled
    "sqs:SendMessage",  # a stream's records that could not be handled
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
}
# Batch is a server of its own here, CodeCommit and ECR are not there at all: `tests/contracts` hold those calls.
ELSEWHERE = ("batch:", "codecommit:", "ecr:")
# Each with the situation in which it is needed, which these tests do not come to.
RARELY = {
    ("IndexLogs", "s3:AbortMultipartUpload"): "a log that could not be stored as a whole",
    ("ValidateRepo", "s3:DeleteObject"): "a file of Git LFS that nothing refers to any more, after some days",
    ("ValidateRepo", "s3:DeleteObjectVersion"): "the same",
    ("ValidateRepo", "s3:ListMultipartUploadParts"): "an upload in parts that was begun more than a day ago",
    # Only where the operator names a key or topics.
    ("EvaluateRun", "kms:Sign"): "signing with the operator's key",
    ("EvaluateRun", "kms:GetPublicKey"): "the same",
    ("Api", "sns:Publish"): "telling the operator's topics",
    ("ReportStatus", "sns:Publish"): "the same",
    ("EnqueueJob", "events:DisableRule"): "nothing came of a run at ModelArts",
    # The schedule does not come round in a test; SMN's messages look at one run.
    ("Sweep", "events:EnableRule"): "it was off although a run at ModelArts is there",
    ("Sweep", "events:DisableRule"): "no run at ModelArts is there any more",
    # Where the account at Huawei Cloud is an agency in place of a stored key.
    **{
        (who, "sts:GetWebIdentityToken"): "its credentials"
        for who in ("EnqueueJob", "TrackJob", "Sweep", "Api", "Carrier")
    },
    ("Carrier", "s3:AbortMultipartUpload"): "a large file that could not be stored as a whole",
    ("TrackJob", "s3:PutObject"): "a lost machine of several; or ModelArts' log while it grows",
    ("ServeLfs", "s3:PutObject"): "it signs the address, git carries it out",
    ("ReceivePush", "s3:GetObject"): "which repository an event of CodeCommit is about",
    ("ReceivePush", "s3:ListBucket"): "the same",
    ("EvaluateRun", "dynamodb:Query"): "the former runs that a gate compares with",
    ("Sweep", "dynamodb:PutItem"): "a run whose event was lost",
    ("Sweep", "dynamodb:GetItem"): "the same",
    ("Sweep", "dynamodb:Query"): "its schedule does not come round in a test",
    ("Sweep", "dynamodb:BatchGetItem"): "the rows that it finds there",
    ("Sweep", "s3:GetObject"): "the result of a run whose end was not heard",
    ("Sweep", "s3:PutObject"): "what it remembers of a repository",
    ("Sweep", "ssm:GetParameter"): "the token of a repository that is looked at",
}
# An action that stands for several operations, and the "not found" that S3 tells only to who may list.
OPERATIONS = {
    "s3:ListBucket": {"ListObjectsV2", "HeadObject", "GetObject", "HeadBucket"},
    "s3:GetObject": {"GetObject", "HeadObject"},
    "s3:PutObject": {"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject"},
    "s3:ListBucketMultipartUploads": {"ListMultipartUploads"},
    "s3:ListMultipartUploadParts": {"ListParts"},
    "lambda:InvokeFunction": {"POST /2015-03-31/functions/trainyard-sweep/invocations"},
    "s3:DeleteObject": {"DeleteObject", "DeleteObjects"},
    "dynamodb:PutItem": {"PutItem", "TransactWriteItems"},
}


def test_nothing_is_allowed_that_nobody_does(stack: Stack, request: pytest.FixtureRequest) -> None:
    ran = {item.path.name for item in request.session.items}
    if not {"test_main_job.py", "test_git_and_lfs.py", "test_repositories.py", "test_ascend.py"} <= ran:
        pytest.skip("it looks at what the other end-to-end tests did")
    done: dict[str, set[str]] = defaultdict(set)
    for call in stack.calls():
        # Jobs with a role make calls under the role's whole name.
        caller = "Carrier" if "-CarrierRole-" in call["caller"] else call["caller"]
        done[caller].add(call["operation"])
    assert set(done) >= {
        "Carrier",
        "Api",
        "ValidateRepo",
        "EnqueueJob",
        "TrackJob",
        "IndexLogs",
        "EvaluateRun",
        "PublishChanges",
    }
    spare = {
        (role.removesuffix("Role"), action)
        for template, role, statement in statements()
        if template == "template.yaml" or (template, role) == ("compute.yaml", "CarrierRole")
        for action in listed(statement["Action"])
        if action not in BY_AWS and not action.startswith(ELSEWHERE)
        if not done[role.removesuffix("Role")] & OPERATIONS.get(action, {action.partition(":")[2]})
    }
    assert spare - set(RARELY) == set()
