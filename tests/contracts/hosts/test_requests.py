"""What every request to a host keeps to: an end in time, and the host's own word on when to ask again."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from contracts.hosts.api_server import ApiServer
from contracts.hosts.host_contract import server  # noqa: F401

from trainyard.hosts import requests
from trainyard.hosts.contract import HostUnavailableError
from trainyard.hosts.requests import get_json


def test_a_host_that_drips_its_answer_does_not_hold_us(
    server: ApiServer,  # noqa: F811 - loopback is allowed while it is in use
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "WHOLE_SECONDS", 0.2)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        for _ in range(requests.TRIES):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                try:
                    for _ in range(60):
                        connection.sendall(b"1")
                        time.sleep(0.05)
                except OSError:
                    continue

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    with pytest.raises(HostUnavailableError):
        get_json(f"http://127.0.0.1:{listener.getsockname()[1]}/", {})
    thread.join(5)
    listener.close()


@pytest.mark.parametrize("later", ["date", "seconds"])
def test_retry_after_is_a_date_or_seconds(server: ApiServer, later: str) -> None:  # noqa: F811
    at = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server.answers = [(503, {"Retry-After": at if later == "date" else "3600"})] * 3
    with pytest.raises(HostUnavailableError, match="asks to wait"):
        get_json(server.url, {})
    assert len(server.received) == 1


@pytest.mark.parametrize("junk", ["soon", "", "-5", "²", "Wed, 99 Foo", "9" * 400])
def test_a_retry_after_that_says_nothing_is_never_a_crash(server: ApiServer, junk: str) -> None:  # noqa: F811
    server.answers = [(503, {"Retry-After": junk.encode().decode("latin-1")})] * 3
    with pytest.raises(HostUnavailableError):
        get_json(server.url, {})
