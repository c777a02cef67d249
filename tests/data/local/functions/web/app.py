"""Answers with what it was asked, so that a test sees what the API passes on."""

import base64
import json
import os

from sample import word


def handler(event, _context):
    path = event["rawPath"]
    if path == "/denied":
        return {"statusCode": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"', "Content-Type": "text/plain"}, "body": "no"}
    if path == "/binary":
        body = base64.b64encode(bytes(range(256))).decode()
        return {"statusCode": 200, "headers": {"Content-Type": "application/octet-stream"}, "isBase64Encoded": True, "body": body}
    if path == "/cookies":
        return {"statusCode": 303, "headers": {"Location": "/next"}, "cookies": ["a=1; Path=/", "b=2"]}
    if path == "/broken":
        raise RuntimeError("broken on purpose")
    seen = {"event": event, "greeting": os.environ["GREETING"], "word": word.WORD, "bytecode": word.__cached__}
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(seen)}
