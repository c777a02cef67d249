"""The API and the pages behind WSGI, so that tools that know HTTP can call it without a network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from unit.web.conftest import event

from trainyard.web import app


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What API Gateway does: a request in, an HTTP API event to the handler, its answer out."""
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers |= {"content-type": environ["CONTENT_TYPE"]} if environ.get("CONTENT_TYPE") else {}
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else None
    # WSGI hands text over as Latin-1.
    path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
    asked = event(environ["REQUEST_METHOD"], path, body, environ.get("QUERY_STRING", ""), **headers)
    answer = app.handle(asked, None)
    start_response(f"{answer['statusCode']} {HTTPStatus(answer['statusCode']).phrase}", list(answer["headers"].items()))
    body = answer.get("body", "")
    return [base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()]
