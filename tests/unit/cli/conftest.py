"""The API behind a real socket, so that commands are tried as a person calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from socketserver import ThreadingMixIn
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from unit.web.gateway import wsgi

from trainyard.cli.main import run
from trainyard.model.repository import Scope
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.web import app

Call = Callable[..., int]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def call(state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """`call("list", "ada/lenet5")` as the user ada; gives the exit status."""
    monkeypatch.setattr(app, "state", lambda: state)
    app._rate_limit.cache_clear()
    secret, _ = issue_token(state.table, "ada", [Scope.WRITE])
    server = make_server("127.0.0.1", 0, wsgi, _Server, _Quiet)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("TRAINYARD_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("TRAINYARD_TOKEN", secret)
    monkeypatch.setenv("LANG", "C.UTF-8")
    yield lambda *words: run(list(words))
    server.shutdown()
    server.server_close()
    thread.join(5)
    app._rate_limit.cache_clear()
