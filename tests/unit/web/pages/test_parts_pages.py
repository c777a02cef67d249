"""What pages show of a sweep's trainings and of several machines."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import pytest
from builders import a_spec
from unit.web.pages.conftest import Browser
from unit.web.pages.test_pages import RUN, finished

from trainyard.compute.aws_batch import AwsBatch
from trainyard.compute.contract import JobStatus
from trainyard.evaluation.standard import evaluate
from trainyard.model.lifecycle import JobPhase
from trainyard.model.metric import MetricGroup, Metrics, Point
from trainyard.model.repository import Repository
from trainyard.model.run import ChildCount, Job, Run, RunState
from trainyard.store import State, layout

JOB = Job(backend="aws_batch", id="job-1")


class Remembering(AwsBatch):
    """Of all but the first part it has forgotten how it went."""

    def children_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
        return [
            JobStatus(job=job, run_id=RUN, attempt=1, phase=JobPhase.SUCCEEDED, child=index)
            for index in indexes
            if index == 0
        ]

    def nodes_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
        return [
            JobStatus(job=job, run_id=RUN, attempt=1, phase=JobPhase.FAILED, node=index)
            for index in indexes
            if index == 1
        ]


@pytest.fixture(autouse=True)
def _batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.web.parts.backend", lambda _name: Remembering())


def store_sweep(state: State, seeds: int = 2) -> Run:
    spec = a_spec(hyperparameters={"seed": list(range(1, seeds + 1)), "on": [True, "<b>"]})
    count = ChildCount(total=spec.trainings, succeeded=spec.trainings - 1, failed=1)
    run = finished(spec=spec, children=count, job=JOB)
    state.table.create_run(run)
    groups = [
        MetricGroup(values, {"loss": [Point(1, 1.0, 0.5 + index)]}) for index, values in enumerate(spec.combinations())
    ]
    evaluation = evaluate(Metrics(groups[1:]), {})
    state.objects.put(layout.evaluation_key(run.id), evaluation.model_dump_json().encode())
    for index in (0, 1):
        place = layout.child_id(run.id, index)
        state.objects.put(layout.log_chunk_key(place, 1, 0), gzip.compress(f"line of {index}\n".encode()))
        state.objects.put(layout.output_prefix(place) + "a b.ckpt", b"12345")
    return run


@pytest.mark.parametrize(
    ("language", "counts"), [("en", "3 succeeded, 1 failed, 0 running of 4"), ("zh", "共 4 个：成功 3，失败 1")]
)
def test_a_sweep_shows_its_trainings(
    pages: State, ada: Browser, project: Repository, language: str, counts: str
) -> None:
    store_sweep(pages)
    ada.language = language
    shown = ada.get(f"/runs/{RUN}")
    assert shown.status == 200
    assert counts in shown.words()
    rows = [row for row in shown.text.split("<tr>") if "child=" in row]
    assert ["child=0" in rows[0], "child=3" in rows[3], len(rows)] == [True, True, 4]
    # The first one measured nothing, and only of that one Batch still knows.
    assert "state-succeeded" in rows[0]
    assert "1.5" not in rows[0]
    assert "1.5" in rows[1]
    assert "state-" not in rows[1]
    assert "&lt;b&gt;" in rows[1]
    assert 'id="log"' not in shown.text


def test_each_training_s_log_and_outputs_are_read_searched_and_downloaded(
    pages: State, ada: Browser, project: Repository
) -> None:
    store_sweep(pages)
    log = ada.get(f"/runs/{RUN}/log?child=1")
    assert "line of 1" in log.words()
    assert "training 1" in log.words()
    assert 'name="child" value="1"' in log.text
    found = ada.get(f"/runs/{RUN}/log?q=line&child=0")
    assert "line of 0" in found.words()
    assert "line=1&amp;child=0#L1" in found.text
    outputs = ada.get(f"/runs/{RUN}/outputs?child=1")
    assert "a%20b.ckpt?child=1" in outputs.text
    download = ada.get(f"/runs/{RUN}/outputs/a%20b.ckpt?child=1")
    assert download.status == 302
    assert "/children/00001/output/" in download.headers["location"]
    for wrong in ("child=4", "node=1"):
        assert ada.get(f"/runs/{RUN}/log?{wrong}").status == 404
    assert ada.get(f"/runs/{RUN}/log?child=x").status == 422


def test_a_large_sweep_is_shown_page_after_page(pages: State, ada: Browser, project: Repository) -> None:
    store_sweep(pages, 30)
    first = ada.get(f"/runs/{RUN}")
    assert f'href="/runs/{RUN}/children"' in first.text
    assert first.text.count("log?child=") == 50
    rest = ada.get(f"/runs/{RUN}/children?from=50")
    assert rest.text.count("log?child=") == 10
    assert 'href="?from=0"' in rest.text
    assert 'href="?from=100"' not in rest.text
    assert ada.get(f"/runs/{RUN}/children?from=99").status == 200


def test_machines_that_train_together_are_listed(pages: State, ada: Browser, project: Repository) -> None:
    run = finished(spec=a_spec(nodes=2), job=JOB, state=RunState.FAILED)
    pages.table.create_run(run)
    pages.objects.put(layout.log_chunk_key(run.id, 1, 0), gzip.compress(b"of the main one\n"))
    pages.objects.put(layout.log_chunk_key(layout.node_id(run.id, 1), 1, 0), gzip.compress(b"of the other\n"))
    shown = ada.get(f"/runs/{RUN}")
    rows = [row for row in shown.text.split("<tr>") if "node=" in row]
    assert [("state-failed" in row, ">main<" in row) for row in rows] == [(False, True), (True, False)]
    assert "of the main one" in shown.words()
    assert "of the other" in ada.get(f"/runs/{RUN}/log?node=1").words()


def test_where_batch_is_away_the_rest_is_shown(
    pages: State, ada: Browser, project: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(AwsBatch):
        def children_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
            from botocore.exceptions import EndpointConnectionError

            raise EndpointConnectionError(endpoint_url="https://batch")

    monkeypatch.setattr("trainyard.web.parts.backend", lambda _name: Away())
    store_sweep(pages)
    assert ada.get(f"/runs/{RUN}").text.count("log?child=") == 4
