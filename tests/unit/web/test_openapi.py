"""The description of the API is made from its routes; here it is held against them."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate
from unit.web.conftest import Send

from trainyard.web.routes import ROUTES
from trainyard.web.routes.routing import Route

# Answers that are no JSON.
OTHERWISE = {204, 302}
# Commands that say all in their address.
WITHOUT_BODY = {
    "/v1/projects/{owner}/{name}/notifications/{notification}/test",
    "/v1/runs/{run}/approve",
    "/v1/runs/{run}/stop",
    "/v1/runs/{run}/credentials",
    "/v1/runs/{run}/registry-login",
    "/v1/projects/{owner}/{name}/webhook-secret",
    "/v1/repositories/{owner}/{name}/members/{user}",
    "/v1/repositories/{owner}/{name}/storage/inspect",
}


@pytest.fixture
def described(send: Send) -> Any:
    return send("GET", "/v1/openapi.json", token=None).json


def test_it_is_valid_openapi(described: Any) -> None:
    assert described["openapi"] == "3.1.0"
    validate(described)


def test_every_route_is_described(described: Any) -> None:
    paths = described["paths"].items()
    assert {(method, path) for path, methods in paths for method in methods} == {
        (route.method.lower(), route.path) for route in ROUTES
    }
    ids = [one["operationId"] for _, methods in paths for one in methods.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_says_what_it_takes_and_gives(route: Route) -> None:
    assert (route.gives is None) == (route.status in OTHERWISE or bool(route.media))
    assert (route.takes is None) == (route.method in ("GET", "DELETE") or route.path in WITHOUT_BODY)
