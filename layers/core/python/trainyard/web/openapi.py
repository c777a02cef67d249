"""OpenAPI 3.1, made from the routes: what is described is what runs.

Source of the format: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from trainyard import __version__
from trainyard.web.views import Failure

if TYPE_CHECKING:
    from trainyard.web.routes.routing import Route

_REF = "#/components/schemas/{model}"
_PLACES = {
    "owner": "User or organisation that owns the repository.",
    "name": "Name of the repository.",
    "run": "Id of the run.",
    "number": "Number of the evaluation, from 1.",
    "key": "Id of the key, 64 hex digits.",
    "token": "Id of the token, not the token itself.",
}
_HAPPENS = {200: "Done.", 201: "Made.", 202: "Accepted.", 204: "Done; there is nothing to say.", 302: "It is there."}
_SAFE = ("GET", "HEAD")
_Model = tuple[type[BaseModel], JsonSchemaMode]
_Models = Mapping[Any, dict[str, Any]]


def openapi(routes: Sequence[Route], url: str) -> dict[str, Any]:
    """The document that describes `routes`, served under `url`."""
    models, definitions = models_json_schema(_models(routes), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trainyard", "version": __version__, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": url}],
        "security": [{}, {"token": []}, {"user": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An access token."},
                "user": {"type": "http", "scheme": "basic", "description": "User name and access token, as git does."},
            },
        },
    }


def _models(routes: Sequence[Route]) -> list[_Model]:
    models: list[_Model] = [(Failure, "serialization")]
    models += [(route.takes, "validation") for route in routes if route.takes]
    models += [(route.gives, "serialization") for route in routes if route.gives]
    return list(dict.fromkeys(models))


def _operation(route: Route, models: _Models) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(route.act) or route.summary).partition("\n\n")
    operation: dict[str, Any] = {
        # A function may stand at two paths, and an id may stand once.
        "operationId": f"{route.method.lower()}{route.path.replace('/v1', '').translate(_TO_NAME)}",
        "summary": " ".join(summary.split()),
        "parameters": [*_places(route), *_query(route)],
        "responses": {
            str(route.status): _answer(route, models),
            "default": {
                "description": "It could not be done; `message` says what to do.",
                "content": {"application/json": {"schema": models[Failure, "serialization"]}},
            },
        },
    }
    if route.method in _SAFE and route.status == 200:
        operation["responses"]["304"] = {"description": "If-None-Match names what would be answered."}
        operation["parameters"].append(
            {"name": "If-None-Match", "in": "header", "description": "An ETag.", "schema": {"type": "string"}}
        )
    if description:
        operation["description"] = description
    if route.takes:
        operation["requestBody"] = _body(route, models)
    return operation


_TO_NAME = str.maketrans({"/": "_", "{": None, "}": None, "-": "_", ".": "_"})


def _places(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PLACES.get(name, ""),
            "schema": {"type": "string", "minLength": 1},
        }
        for name in route.places
    ]


def _query(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "in": "query",
            "description": one.description,
            "schema": {"type": "integer", "minimum": 0} if one.kind == "integer" else {"type": "string"},
        }
        for one in route.query
    ]


def _answer(route: Route, models: _Models) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _HAPPENS[route.status]}
    if route.gives:
        answer["content"] = {"application/json": {"schema": models[route.gives, "serialization"]}}
    if route.media:
        kind = "object" if route.media.endswith("+json") else "string"
        answer["content"] = {route.media: {"schema": {"type": kind}}}
    if route.status == 302:
        answer["headers"] = {"location": {"schema": {"type": "string", "format": "uri"}}}
    return answer


def _body(route: Route, models: _Models) -> dict[str, Any]:
    assert route.takes is not None
    content: dict[str, Any] = {"application/json": {"schema": models[route.takes, "validation"]}}
    if route.form:
        fields = {"type": "object", "additionalProperties": {"type": "string"}}
        content["application/x-www-form-urlencoded"] = {"schema": fields}
    return {"required": True, "content": content}
