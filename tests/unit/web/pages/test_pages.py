"""What each page shows, and to whom."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta
from typing import Any

import pytest
from builders import NOW, a_run
from unit.web.pages.conftest import Browser

from trainyard.evaluation.standard import evaluate
from trainyard.model.metric import MetricGroup, Metrics, Point
from trainyard.model.repository import Repository
from trainyard.model.run import EvaluationFacet, FacetState, LogsFacet, Run, RunState, Transition
from trainyard.store import State, layout
from trainyard.web.pages.answers import CONTENT_SECURITY_POLICY

RUN = "run-0123456789abcdefghjkmn"
OTHER = "run-0123456789abcdefghjkmp"
HOSTILE = "<script>alert(1)</script></textarea>\u202e'\"&{{ 7*7 }}"


def finished(run_id: str = RUN, **changes: Any) -> Run:
    steps = (RunState.REQUESTED, RunState.ADMITTED, RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED)
    timeline = [
        Transition(state=state, attempt=int(number > 1), at=NOW + timedelta(seconds=number))
        for number, state in enumerate(steps)
    ]
    values: dict[str, Any] = {
        "project": "ada/lenet5",
        "state": RunState.SUCCEEDED,
        "attempt": 1,
        "ref": "refs/heads/main",
        "timeline": timeline,
        "logs": LogsFacet(state=FacetState.DONE, lines=2, bytes=40),
        "evaluation": EvaluationFacet(
            state=FacetState.DONE, verdict="passed", best={"loss": 0.1}, key_metric="loss", curve=[1, 0.5, 0.1]
        ),
    }
    return a_run(run_id, **{**values, **changes})


def store(state: State, run: Run, name: str = "loss") -> None:
    state.table.create_run(run)
    metrics = Metrics([MetricGroup({}, {name: [Point(n, float(n), 1 / n) for n in range(1, 5)]})])
    state.objects.put(layout.metrics_key(run.id), metrics.to_json())
    evaluation = evaluate(metrics, {name: "< 0.5"})
    state.objects.put(layout.evaluation_key(run.id), evaluation.model_dump_json().encode())
    state.objects.put(layout.log_chunk_key(run.id, 1, 0), gzip.compress(b"first line\nsecond <b>line</b>\n"))
    state.objects.put(f"{layout.output_prefix(run.id)}model.ckpt", b"weights")


@pytest.fixture
def run(pages: State, project: Repository) -> Run:
    made = finished()
    store(pages, made)
    return made


ALL = [
    "/", "/sign-in", "/catalogue", "/guide", "/account", "/repositories/new",
    "/repositories/new?kind=dataset", "/repositories/ada/lenet5", "/projects/ada/lenet5",
    "/projects/ada/lenet5?state=succeeded&q=lenet", "/projects/ada/lenet5?branch=nothing", "/projects/ada/lenet5/new",
    f"/projects/ada/lenet5/new?from={RUN}", f"/projects/ada/lenet5/compare?run={RUN}&run={OTHER}", f"/runs/{RUN}",
    f"/runs/{RUN}/log", f"/runs/{RUN}/log?q=line", f"/runs/{RUN}/log?line=2", f"/runs/{RUN}/log?q=(&kind=regex",
    f"/runs/{RUN}/outputs", f"/runs/{RUN}/delete", "/nothing",
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_in_both_languages(pages: State, ada: Browser, run: Run, language: str) -> None:
    store(pages, finished(OTHER))
    ada.language = language
    for path in ALL:
        page = ada.get(path)
        expected = 404 if path == "/nothing" else 303 if path == "/sign-in" else 200
        assert page.status == expected, (path, page.words())
        assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        if expected != 303:
            assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in page.text
            assert "<script>" not in page.text
            assert " style=" not in page.text
            assert not re.search(r"\son\w+=", page.text)
