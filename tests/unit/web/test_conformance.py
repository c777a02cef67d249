"""What runs answers as it is described: every route, with requests made from the description, right and wrong ones."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from unit.web.conftest import Send
from unit.web.gateway import wsgi

from trainyard.model.repository import Scope
from trainyard.store import State, layout
from trainyard.store.access import issue_token
from trainyard.web.routes import ROUTES
from trainyard.web.routes.routing import Route

SPEC = {"boot_file": "train.py", "framework": "mindspore-cpu", "flavor": "cpu"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def described(send: Send, project: str, web_state: State) -> Any:
    """The API, with a project and a run that has left something."""
    run = send("POST", f"/v1/projects/{project}/runs", {"name": "lenet5", "spec": SPEC}).json["id"]
    web_state.objects.put(layout.log_chunk_key(run, 1, 0), gzip.compress(b"epoch 1\n"))
    web_state.objects.put(layout.output_prefix(run) + "a.ckpt", b"12345")
    schema = schemathesis.openapi.from_wsgi("/v1/openapi.json", wsgi)
    schema.known = {"owner": "ada", "name": "lenet5", "run": run}
    schema.secret = issue_token(web_state.table, "ada", [Scope.WRITE])[0]
    return schema


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_answers_are_as_described(described: Any, route: Route) -> None:
    cases = described[route.path][route.method].as_strategy

    @settings(max_examples=6, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(cases(), cases(generation_mode=GenerationMode.NEGATIVE)))
    def check(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)
        # Once more with names that are there and somebody who may.
        places = {name: described.known.get(name, value) for name, value in (case.path_parameters or {}).items()}
        case.path_parameters = places
        case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {described.secret}"})

    check()
