"""Whatever stands in an address, a page answers it: shown, not there, or wrong, but never a fault of ours."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from unit.web.gateway import wsgi
from unit.web.pages.conftest import Browser
from unit.web.pages.test_pages import RUN, finished, store

from trainyard.model.repository import Repository
from trainyard.store import State, layout
from trainyard.web.pages.routing import PAGES, Page

READ = [page for page in PAGES if page.method == "GET"]
SEEN = {"owner": "ada", "name": "lenet5", "run": RUN}


def words(page: Page) -> list[str]:
    """The parameters of a query that the page reads, as its source says."""
    source = Path(sys.modules[page.act.__module__].__file__ or "").read_text()
    return sorted(set(re.findall(r'(?:query\.get|number|every)\("(\w+)"', source)) | {"language"})


def path_of(page: Page) -> str:
    return re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", page.pattern.pattern)


def described(page: Page) -> dict[str, Any]:
    """The page as OpenAPI would describe it: any text in any place, any text for any word of the query."""
    text = {"type": "string"}
    places = [
        {"name": name, "in": "path", "required": True, "schema": {**text, "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", path_of(page))
    ]
    query = [{"name": word, "in": "query", "schema": text} for word in (*words(page), "state", "branch", "name", "by")]
    asked = {"parameters": places + query, "responses": {"default": {"description": "a page"}}}
    return {
        "openapi": "3.1.0", "info": {"title": "pages", "version": "1"}, "paths": {path_of(page): {"get": asked}}
    }  # fmt: skip


@pytest.fixture
def cookie(pages: State, ada: Browser, project: Repository) -> str:
    store(pages, finished())
    pages.objects.put(layout.log_key(RUN), gzip.compress(b"first line\n"))
    return "; ".join(f"{name}={value}" for name, value in ada.cookies.items())


@pytest.mark.parametrize("page", READ, ids=path_of)
def test_no_address_is_a_fault_of_ours(cookie: str, page: Page) -> None:
    schema = schemathesis.openapi.from_dict(described(page))
    schema.app = wsgi
    cases = schema[path_of(page)]["GET"].as_strategy

    @settings(max_examples=6, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(cases(), cases(generation_mode=GenerationMode.NEGATIVE)))
    def check(case: Any) -> None:
        case.call_and_validate(checks=[not_a_server_error])
        case.path_parameters = {name: SEEN.get(name, value) for name, value in (case.path_parameters or {}).items()}
        case.call_and_validate(checks=[not_a_server_error], headers={"Cookie": cookie})

    check()


def cursor(**key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


HOSTILE = [
    "", "0", "-1", "1" * 30, "1e9", "NaN", "\x00", "%00", "%FF%FE", "😀", "\ud800", "x" * 5000, "../../etc/passwd",
    "'\"><script>", "check-" + "0" * 32, "run-" + "0" * 22, cursor(pk="RUN#x", project="ada/lenet5"),
    cursor(pk={"S": "x"}, sort=7, project="ada/lenet5"), cursor(pk="x" * 5000, sort="y", project="ada/lenet5"), "[" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("page", READ, ids=path_of)
def test_no_value_that_was_made_to_harm_is_one_either(ada: Browser, cookie: str, page: Page) -> None:
    path = re.sub(r"\{(\w+)\}", lambda found: SEEN.get(found[1], "x"), path_of(page))
    for value in HOSTILE:
        for word in words(page):
            shown = ada.get(f"{path}?{word}={value}&{word}={value}")
            assert shown.status < 500, (path, word, value)
            assert "<script>" not in shown.text
