"""Table stream -> bus."""

import json
import os
import time

import boto3

events = boto3.client("events")


def handler(event, _context):
    for record in event["Records"]:
        image = record["dynamodb"].get("NewImage", {})
        if "asked" in image:
            detail = {"pk": image["pk"]["S"], "published": time.time()}
            entry = {"Source": "sample", "DetailType": "asked", "Detail": json.dumps(detail), "EventBusName": os.environ["BUS"]}
            events.put_events(Entries=[entry])
