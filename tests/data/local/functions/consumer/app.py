"""Queue -> table."""

import json
import os
import time

import boto3

table = boto3.client("dynamodb")


def handler(event, _context):
    failures = []
    for record in event["Records"]:
        detail = json.loads(record["body"])["detail"]
        if detail["pk"].startswith("poison"):
            failures.append({"itemIdentifier": record["messageId"]})
            continue
        table.put_item(
            TableName=os.environ["TABLE"],
            Item={"pk": {"S": "done#" + detail["pk"]}, "published": {"N": str(detail["published"])}, "at": {"N": str(time.time())}},
        )
    return {"batchItemFailures": failures}
