"""A small server on loopback that answers as it is told and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    payload: Any


@dataclass
class ApiServer:
    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers of the next answers; 201 when there are no more."""
    received: list[Received] = field(default_factory=list)
    reply: Any = field(default_factory=dict)


Respond = Callable[[Received], tuple[int, dict[str, str], Any]]
"""Status, headers and JSON of the answer."""


@contextmanager
def serving(respond: Respond) -> Iterator[str]:
    """The address of a server on loopback that asks `respond` about each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, answer = respond(Received(self.command, self.path, headers, json.loads(body or b"null")))
            content = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **extra}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join(5)


@contextmanager
def api_server() -> Iterator[ApiServer]:
    server = ApiServer()

    def respond(received: Received) -> tuple[int, dict[str, str], Any]:
        server.received.append(received)
        status, extra = server.answers.pop(0) if server.answers else (201, {})
        return status, extra, server.reply

    with serving(respond) as server.url:
        yield server
