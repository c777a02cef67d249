"""A job asks for its credentials as long as the API may have too much to do, and no longer where it is refused."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from trainyard.runner.credentials import session_of

GIVEN = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "session_token": "session",
    "expires_at": "2100-01-01T00:00:00+00:00",
}


@contextmanager
def api(status: Callable[[], int]) -> Iterator[Any]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            code = status()
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(GIVEN).encode() if code == 200 else b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(token="ty_job", api=f"http://127.0.0.1:{server.server_port}", run_id="run-1")
        server.shutdown()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("trouble", [429, 500, 503])
def test_an_api_that_is_busy_for_a_minute_costs_no_run(slept: list[float], trouble: int) -> None:
    with api(lambda: trouble if sum(slept) < 60 else 200) as job:
        session = session_of(job)
    assert session is not None
    assert session.get_credentials().access_key == "key"


def test_one_that_stays_away_ends_it(slept: list[float]) -> None:
    with api(lambda: 503) as job, pytest.raises(urllib.error.HTTPError):
        session_of(job)
    assert 90 < sum(slept) < 180


@pytest.mark.parametrize("refusal", [401, 403, 404])
def test_a_refusal_is_final(slept: list[float], refusal: int) -> None:
    with api(lambda: refusal) as job, pytest.raises(urllib.error.HTTPError):
        session_of(job)
    assert slept == []
