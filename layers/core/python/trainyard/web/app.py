"""The API: a request finds its route, the route makes one call."""

from __future__ import annotations

from typing import Any

from trainyard.model.errors import NotFound
from trainyard.model.text import Text
from trainyard.store import state
from trainyard.store.access import authenticate
from trainyard.web.errors import answered
from trainyard.web.messages import Answer, Request, preferred_language, read_request
from trainyard.web.routes import ROUTES, Call


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """An HTTP API event in, its answer out. Never raises."""
    language = preferred_language(event.get("headers") or {})
    return answered(lambda: _routed(read_request(event)), language)


def _routed(request: Request) -> Answer:
    for route in ROUTES:
        match = route.pattern.fullmatch(request.path)
        if match and route.method == request.method:
            known = state()
            token = authenticate(known.table, request.headers.get("authorization"))
            return route.act(Call(known, token, request, match.groupdict()))
    raise NotFound(
        Text(
            en=f"There is nothing at {request.method} {request.path[:200]}. See GET /v1 for what there is.",
            zh=f"{request.method} {request.path[:200]} 不存在。可用接口见 GET /v1。",
        )
    )
