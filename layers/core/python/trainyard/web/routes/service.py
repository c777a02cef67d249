"""The service itself: its routes, its catalogue, and who is asking."""

from __future__ import annotations

from trainyard.intake.permissions import require_scope
from trainyard.model.catalogue import load_catalogue
from trainyard.model.repository import Scope
from trainyard.web.messages import Answer
from trainyard.web.openapi import openapi
from trainyard.web.routes.routing import ROUTES, Call, route
from trainyard.web.views import CatalogueView, OpenApi, RouteList, UserView
from trainyard.web.views import show_catalogue as view


@route("GET", "/v1", gives=RouteList)
def list_routes(_call: Call) -> Answer:
    return Answer(200, {"routes": [f"{route.method} {route.path}" for route in ROUTES]})


@route("GET", "/v1/openapi.json", gives=OpenApi)
def describe(call: Call) -> Answer:
    """This API in OpenAPI 3.1, made from the routes."""
    return Answer(200, openapi(ROUTES, call.request.public_url))


@route("GET", "/v1/catalog", gives=CatalogueView)
def show_catalogue(_call: Call) -> Answer:
    return Answer(200, view(load_catalogue()))


@route("GET", "/v1/user", gives=UserView)
def show_user(call: Call) -> Answer:
    token = require_scope(call.token, Scope.READ)
    return Answer(
        200,
        {
            "user": token.user,
            "scopes": token.scopes,
            "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        },
    )
