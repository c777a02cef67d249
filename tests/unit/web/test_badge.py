from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from builders import a_run
from hypothesis import given
from hypothesis import strategies as st
from unit.web.conftest import Reply, Send

from trainyard.model.run import EvaluationFacet, FacetState, RunState
from trainyard.store import State
from trainyard.web.routes.badge import svg

JUDGED = {"state": RunState.SUCCEEDED}


def said(reply: Reply) -> str:
    assert reply.status == 200, reply.text
    assert reply.headers["content-type"].startswith("image/svg+xml")
    return str(ET.fromstring(reply.text).get("aria-label"))


@pytest.mark.parametrize(
    ("changes", "query", "words"),
    [
        ({"state": RunState.TIMED_OUT}, "", "timed out"),
        ({"state": RunState.RUNNING}, "", "running"),
        (JUDGED | {"verdict": "passed"}, "", "passed"),
        (JUDGED | {"verdict": "failed"}, "metric=accuracy", "evaluation failed, accuracy 0.9778"),
        (JUDGED | {"verdict": "not_required"}, "metric=loss", "succeeded"),
        (JUDGED | {"verdict": None}, "branch=main&run=lenet5", "succeeded"),
        (JUDGED | {"verdict": None}, "branch=other", "no runs"),
        (JUDGED | {"verdict": None}, "run=other", "no runs"),
    ],
)
def test_the_newest_run_that_was_asked_for(
    send: Send, project: str, web_state: State, changes: dict[str, Any], query: str, words: str
) -> None:
    verdict = changes.pop("verdict", None) if "verdict" in changes else None
    facet = EvaluationFacet(state=FacetState.DONE, verdict=verdict, best={"accuracy": 0.97777})
    web_state.table.create_run(a_run(project=project, ref="refs/heads/main", evaluation=facet, **dict(changes)))
    assert said(send("GET", f"/v1/projects/{project}/badge.svg", query=query)) == f"training: {words}"


def test_a_private_project_has_a_badge_only_for_those_who_may_read_it(send: Send, project: str) -> None:
    assert send("GET", f"/v1/projects/{project}/badge.svg", token=None).status == 404
    assert said(send("GET", f"/v1/projects/{project}/badge.svg", token="reader")) == "training: no runs"
    assert send("POST", "/v1/projects", {"name": "open", "visibility": "public"}).status == 201
    shown = send("GET", "/v1/projects/ada/open/badge.svg", token=None)
    assert (said(shown), shown.headers["cache-control"]) == ("training: no runs", "max-age=60")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=40))
def test_a_name_is_never_markup(words: str) -> None:
    root = ET.fromstring(svg("training", words, "#000"))
    assert root.get("aria-label") == f"training: {words}"
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {"svg", "title", "rect", "path", "g", "text"}
