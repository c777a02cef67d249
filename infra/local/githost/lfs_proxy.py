"""Git LFS is asked for at the clone address; the function behind API Gateway answers. Only small JSON passes here."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

SECONDS = 30.0
"""API Gateway's own limit."""
_PASSED_ON = {
    "HTTP_AUTHORIZATION": "Authorization",
    "HTTP_ACCEPT": "Accept",
    "HTTP_ACCEPT_LANGUAGE": "Accept-Language",
    "HTTP_USER_AGENT": "User-Agent",
    "CONTENT_TYPE": "Content-Type",
}
_PASSED_BACK = ("content-type", "lfs-authenticate", "www-authenticate", "retry-after")


def forward(
    api_url: str, path: str, request: WSGIEnvironment, body: bytes, start_response: StartResponse
) -> list[bytes]:
    """Ask `api_url` + `path` the same and give back its answer; 502 if there is none. Redirects are not followed."""
    address = urlsplit(api_url)
    query = request.get("QUERY_STRING")
    headers = {name: request[key] for key, name in _PASSED_ON.items() if request.get(key)}
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=SECONDS)
    try:
        target = address.path.rstrip("/") + path + (f"?{query}" if query else "")
        connection.request(request["REQUEST_METHOD"], target, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        content = b'{"message": "The API does not answer; try again. / API \xe6\x97\xa0\xe5\x93\x8d\xe5\xba\x94"}'
        start_response("502 Bad Gateway", [("Content-Type", "application/vnd.git-lfs+json")])
        return [content]
    finally:
        connection.close()
    passed = [(name, value) for name, value in answer.getheaders() if name.lower() in _PASSED_BACK]
    start_response(f"{answer.status} {answer.reason or 'Status'}", [*passed, ("Content-Length", str(len(content)))])
    return [content]
