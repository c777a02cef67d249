"""What stands before the emulator: a note of every call, a check that it lacks, a front door to the deployed HTTP API.

The emulator serves an API under `/_aws/execute-api/<id>/<stage>/...`. On AWS it has an address of its own, and pages,
cookies and redirects rely on that, so here it gets its own port.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from infra.local.emulator.calls import CallLog, MadeCall, identify, is_described_by_its_body, sent_by
from infra.local.emulator.disturbance import Disturbance
from infra.local.emulator.presigned import REFUSAL, has_unsigned_headers

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

CALLS = "/_trainyard/calls"
RESET = "/_trainyard/calls/reset"
FRONT_DOOR = "/_trainyard/front-door/"  # PUT /_trainyard/front-door/<api id>
DISTURB = "/_trainyard/disturb/"  # PUT /_trainyard/disturb/<share from 0 to 1>
_STAGE = "$default"


class Gateway:
    """An ASGI application around the emulator's. `on_ready` is called once, when the emulator has started."""

    def __init__(self, emulator: Application, *, api_port: int, memory: Path, on_ready: Callable[[], None]) -> None:
        self._emulator = emulator
        self._api_port = api_port
        self._memory = memory  # remembers the API across restarts
        self._on_ready = on_ready
        self._log = CallLog()
        self._disturbance = Disturbance()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._emulator(scope, receive, self._announcing(send))
        elif scope["type"] == "http" and scope["server"][1] == self._api_port:
            await self._enter_front_door(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/_trainyard/"):
            await self._answer(scope, send)
        elif scope["type"] == "http":
            await self._note(scope, receive, send)
        else:
            await self._emulator(scope, receive, send)

    def _announcing(self, send: Send) -> Send:
        async def announce(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._on_ready()

        return announce

    async def _enter_front_door(self, scope: Message, receive: Receive, send: Send) -> None:
        if not self._memory.exists():
            await _respond(send, 503, {"message": "No HTTP API is deployed yet."})
            return
        prefix = f"/_aws/execute-api/{self._memory.read_text()}/{_STAGE}"
        inner = {**scope, "path": prefix + scope["path"], "raw_path": prefix.encode() + scope["raw_path"]}
        await self._emulator(inner, receive, send)

    async def _answer(self, scope: Message, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if (method, path) == ("GET", CALLS):
            await _respond(send, 200, {"calls": self._log.report()})
        elif (method, path) == ("POST", RESET):
            self._log.reset()
            await _respond(send, 200, {})
        elif method == "PUT" and path.startswith(FRONT_DOOR):
            self._memory.write_text(path.removeprefix(FRONT_DOOR))
            await _respond(send, 200, {"address": f"http://127.0.0.1:{self._api_port}"})
        elif method == "PUT" and path.startswith(DISTURB):
            self._disturbance.share = float(path.removeprefix(DISTURB))
            struck = {"before": self._disturbance.before, "after": self._disturbance.after}
            await _respond(send, 200, struck)
        else:
            await _respond(send, 404, {"message": f"{method} {path} is unknown"})

    async def _note(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        if has_unsigned_headers(query, headers):
            await _respond(send, 403, REFUSAL, b"application/xml")
            return
        body = b""
        if is_described_by_its_body(headers):  # it must then be handed on
            body, receive = await _read_ahead(receive)
        call = identify(scope["method"], scope["path"], query, headers, body)
        if call is None:
            await self._emulator(scope, receive, send)
            return
        struck = self._disturbance.strikes(call.caller, call.service)
        if struck == "before":
            await _respond(send, 500, b"")
            return
        at, began, returned = time.time(), time.perf_counter(), 0

        async def weigh(message: Message) -> None:
            nonlocal returned
            returned += len(message.get("body", b""))
            if not struck:
                await send(message)

        await self._emulator(scope, receive, weigh)
        if struck:
            await _respond(send, 500, b"")
        sent = sent_by(call.operation, body) if "x-amz-target" in headers else []
        self._log.add(MadeCall(call, at, time.perf_counter() - began, sent, returned))


async def _read_ahead(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a `receive` that gives the same messages again."""
    messages = []
    while True:
        message = await receive()
        messages.append(message)
        if not message.get("more_body"):
            break
    body = b"".join(message.get("body", b"") for message in messages)

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, again


async def _respond(
    send: Send, status: int, body: dict[str, Any] | bytes, content_type: bytes = b"application/json"
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [(b"content-type", content_type), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
