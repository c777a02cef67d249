"""Reading over connections that break, from servers that stumble."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import boto3
import pytest

from trainyard.store import download
from trainyard.store.download import Downloads, ObjectChangedError
from trainyard.store.objects import ObjectMissingError, Objects

CONTENT = bytes(range(256)) * 40
SECRET = "secret"  # of nobody
Serve = Callable[[int, int], tuple[int, bytes, int]]


class Server(ThreadingHTTPServer):
    """Gives `CONTENT`. `faults`: for each next request a status and how many bytes come before the connection breaks."""

    faults: list[tuple[int, int]]
    ranges: list[str]
    targets: list[str]
    headers: Mapping[str, str]
    """Of the last request."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        self.server.targets.append(self.path)
        self.server.headers = self.headers
        start, _, last = asked.removeprefix("bytes=").partition("-")
        body = CONTENT[int(start or 0) : int(last) + 1 if last else None]
        status, sent = self.server.faults.pop(0) if self.server.faults else (206 if asked else 200, len(body))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = sent < len(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0.001)
    made = Server(("127.0.0.1", 0), Handler)
    made.faults, made.ranges, made.targets = [], [], []
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join(5)


@pytest.fixture
def downloads(server: Server) -> Downloads:
    return downloads_from(f"http://127.0.0.1:{server.server_port}")


def downloads_from(endpoint: str) -> Downloads:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key=SECRET,
    )
    return Downloads(Objects("bucket", client), 2)


def right_signature(target: str, headers: Mapping[str, str]) -> str:
    """As S3 reckons it, from what reached it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """
    stated = dict(part.strip().split("=", 1) for part in headers["Authorization"].split(" ", 1)[1].split(","))
    signed, scope = stated["SignedHeaders"], stated["Credential"].partition("/")[2]
    lines = "".join(f"{name}:{headers[name]}\n" for name in signed.split(";"))
    canonical = "\n".join(["GET", target, "", lines, signed, headers["X-Amz-Content-SHA256"]])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{headers['X-Amz-Date']}\n{scope}\n{digest}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


@pytest.mark.parametrize("span", [(0, None), (0, 10), (100, 2000), (5000, None)])
def test_a_connection_that_breaks_is_continued(server: Server, downloads: Downloads, span: tuple[int, Any]) -> None:
    start, end = span
    server.faults = [(206 if start or end else 200, 7), (503, 0), (206, 0)]
    assert b"".join(downloads.stream("key", start, end)) == CONTENT[start:end]
    assert server.ranges[1].startswith(f"bytes={start + 7}-")


def test_no_progress_is_an_error_in_the_end(server: Server, downloads: Downloads) -> None:
    server.faults = [(503, 0)] * 20
    with pytest.raises(RuntimeError, match="could not be read"):
        list(downloads.stream("key"))
    assert len(server.faults) == 14


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, ObjectMissingError), (412, ObjectChangedError), (403, PermissionError), (400, RuntimeError)],
)
def test_a_refusal_is_not_tried_again(
    server: Server, downloads: Downloads, status: int, error: type[Exception]
) -> None:
    server.faults = [(status, len(CONTENT))]
    with pytest.raises(error):
        list(downloads.stream("key"))
    assert len(server.ranges) == 1


@pytest.mark.parametrize("key", ["a/b", "a b+c=d&e?f#g%20", "数据/~x", "a/../b//./c"])
def test_what_is_sent_is_what_was_signed(server: Server, downloads: Downloads, key: str) -> None:
    assert b"".join(downloads.stream(key, 5, 9, '"tag"')) == CONTENT[5:9]
    (target,) = server.targets
    assert unquote(target) == f"/bucket/{key}"
    assert server.headers["Authorization"].endswith(f"Signature={right_signature(target, server.headers)}")
    assert server.headers["If-Match"] == '"tag"'


def test_the_environments_proxy_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert b"".join(downloads_from("http://s3.example").stream("key")) == CONTENT
    assert server.targets == ["http://s3.example/bucket/key"]
