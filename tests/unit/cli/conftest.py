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


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the API listens."""
    monkeypatch.setattr(app, "state", lambda: state)
    app._rate_limit.cache_clear()
    server = make_server("127.0.0.1", 0, wsgi, _Server, Quiet)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)
    app._rate_limit.cache_clear()


@pytest.fixture
def call(address: str, state: State, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`call("list", "ada/lenet5")` as the user ada; gives the exit status."""
    monkeypatch.setenv("TRAINYARD_URL", address)
    monkeypatch.setenv("TRAINYARD_TOKEN", issue_token(state.table, "ada", [Scope.WRITE])[0])
    monkeypatch.setenv("LANG", "C.UTF-8")
    return lambda *words: run(list(words))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is looking."""
    monkeypatch.setattr("trainyard.cli.terminal.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
