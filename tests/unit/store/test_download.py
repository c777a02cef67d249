"""Reading over connections that break, from servers that stumble."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from trainyard.store import download
from trainyard.store.download import Downloads, ObjectChangedError
from trainyard.store.objects import ObjectMissingError, Objects

CONTENT = bytes(range(256)) * 40
Serve = Callable[[int, int], tuple[int, bytes, int]]


class Server(ThreadingHTTPServer):
    """Gives `CONTENT`. `faults`: for each next request a status and how many bytes come before the connection breaks."""

    faults: list[tuple[int, int]]
    ranges: list[str]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
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
    made.faults, made.ranges = [], []
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join(5)


@pytest.fixture
def downloads(server: Server) -> Downloads:
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return Downloads(Objects("bucket", client), 2)


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
