"""The emulator as an object: start it, talk to it, stop it."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

from infra.local.emulator.gateway import CALLS, DISTURB, FRONT_DOOR, RESET
from infra.local.emulator.state import CREDENTIALS, REGION
from infra.local.processes import Child

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 30.0
CONTROL_SECONDS = 5.0


class Emulator:
    """AWS on loopback in a process of its own. Functions may do only what their roles allow.

    `state`: folder of all it writes. `keep`: load the state at the start and save it at `stop()`; a second start takes
    the same ports again if they are free.
    """

    def __init__(self, state: Path, *, keep: bool = False) -> None:
        argv = [sys.executable, "-m", "infra.local.emulator", "--state", str(state)]
        argv += ["--keep"] * keep
        self._child = Child("emulator", argv, log=state / "emulator.log", environment=_environment(), cwd=ROOT)
        self.endpoint = ""
        self.api = ""

    def start(self) -> Self:
        """Start it and wait until it serves (at most 30 s; ProcessFailed otherwise)."""
        self._child.start()
        return self.ready()

    def begin(self) -> None:
        """Start it without waiting; `ready` waits."""
        self._child.start()

    def ready(self) -> Self:
        addresses = self._child.wait_ready(START_SECONDS)
        self.endpoint, self.api = addresses["endpoint"], addresses["api"]
        return self

    def stop(self) -> None:
        """Save the state (with `keep`) and end it and the functions it runs; bounded."""
        self._child.stop()

    def alive(self) -> bool:
        return self._child.alive()

    @property
    def pid(self) -> int:
        return self._child.pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client of this emulator."""
        return client(self.endpoint, service, **config)

    def calls(self) -> list[dict[str, Any]]:
        """AWS API calls since the start or the last reset, oldest first, as `CallLog.report` has them."""
        return list(_control(self.endpoint, "GET", CALLS)["calls"])

    def reset_calls(self) -> None:
        _control(self.endpoint, "POST", RESET)


def client(endpoint: str, service: str, **config: Any) -> Any:
    """A boto3 client of the AWS that listens at `endpoint`, with nobody's credentials."""
    import boto3
    from botocore.config import Config

    make: Any = boto3.client  # its stubs know each service by its literal name only
    return make(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 2}, connect_timeout=3, **{"read_timeout": 60, **config}),
    )


def open_front_door(endpoint: str, api_id: str) -> str:
    """Let the emulator's API port lead to this HTTP API; its address."""
    return str(_control(endpoint, "PUT", FRONT_DOOR + api_id)["address"])


def disturb(endpoint: str, share: float) -> dict[str, int]:
    """Let that share of the functions' AWS calls fail; how many did so far, before they took effect and after."""
    return dict(_control(endpoint, "PUT", f"{DISTURB}{share}"))


def _control(endpoint: str, method: str, path: str) -> dict[str, Any]:
    request = urllib.request.Request(endpoint + path, method=method)  # noqa: S310  the address is our own
    with urllib.request.urlopen(request, timeout=CONTROL_SECONDS) as response:  # noqa: S310
        return dict(json.load(response))


def _environment() -> dict[str, str]:
    """A clean one: functions inherit it, and nobody's real credentials or Python paths may reach them."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in kept if name in os.environ}
