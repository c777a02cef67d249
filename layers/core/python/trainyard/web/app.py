"""One function serves both: paths under /v1 are the API, all others are pages."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from trainyard.model.errors import NotFound
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import state
from trainyard.store.access import authenticate
from trainyard.store.limits import RateLimit
from trainyard.web.errors import answered
from trainyard.web.messages import Answer, Request, preferred_language, read_request
from trainyard.web.routes import ROUTES, Call
from trainyard.web.routes.routing import MAX_WAIT_SECONDS, Route

_LOOK_AGAIN_SECONDS = 1.0


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """An HTTP API event in, its answer out. Never raises."""
    path = event.get("rawPath", "")
    if path != "/v1" and not path.startswith("/v1/"):
        # On first use: programs that only call the API do not wait for templates.
        from trainyard.web.pages import handle_page

        return handle_page(event)
    language = preferred_language(event.get("headers") or {})
    return answered(lambda: _routed(read_request(event)), language)


def _routed(request: Request) -> Answer:
    for route in ROUTES:
        match = route.pattern.fullmatch(request.path)
        if match and route.method == request.method:
            known = state()
            token = None if route.for_jobs else authenticate(known.table, request.headers.get("authorization"))
            _rate_limit().take(token.id if token else f"address {request.caller}")
            return _when_new(route, Call(known, token, request, match.groupdict()))
    raise NotFound(
        Text(
            en=f"There is nothing at {request.method} {request.path[:200]}. See GET /v1 for what there is.",
            zh=f"{request.method} {request.path[:200]} 不存在。可用接口见 GET /v1。",
        )
    )


def _when_new(route: Route, call: Call) -> Answer:
    """What the route answers; where the caller has that already and is willing to wait, once it has changed."""
    if route.method != "GET":
        return route.act(call)
    etag = call.request.headers.get("if-none-match")
    deadline = time.monotonic() + (call.request.number("wait", 0, MAX_WAIT_SECONDS) if route.waits else 0)
    answer = route.act(call).unless_known(etag)
    while answer.status == 304 and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_SECONDS)
        answer = route.act(call).unless_known(etag)
    return answer


@cache
def _rate_limit() -> RateLimit:
    return RateLimit(state().table, settings().requests_per_minute)
