from __future__ import annotations

import math
from datetime import timedelta

import pytest
from builders import NOW, a_run, a_spec

from trainyard.evaluation.comparison import Entrant, compare, leaderboard
from trainyard.evaluation.history import references
from trainyard.evaluation.standard import evaluate
from trainyard.evaluation.verdict import judge_run
from trainyard.model.evaluation import Verdict
from trainyard.model.metric import MetricGroup, Metrics, Point
from trainyard.model.request import PinnedInput
from trainyard.model.requirement import references_in
from trainyard.model.run import EvaluationFacet, FacetState, LogsFacet, RunState
from trainyard.store import layout


def _evaluated(run_id: str, minutes: int = 0, ref: str = "refs/heads/main", spec: dict | None = None, **best: float):
    return a_run(
        run_id,
        state=RunState.SUCCEEDED,
        ref=ref,
        created_at=NOW + timedelta(minutes=minutes),
        logs=LogsFacet(state=FacetState.DONE),
        evaluation=EvaluationFacet(state=FacetState.DONE, best=best, last=best),
        spec=a_spec(**(spec or {})),
    )


def _on(revision: str) -> list[PinnedInput]:
    return [PinnedInput(argument="data_url", source="dataset demo/digits", revision=revision, is_file=False, files=[])]


def _metrics(**series: float) -> Metrics:
    return Metrics([MetricGroup(series={name: [Point(1, 1.0, value)] for name, value in series.items()})])


@pytest.fixture
def history(state):
    """Three earlier runs, and some that must not count."""
    state.table.create_run(_evaluated("run-1", 1, loss=0.3, accuracy=0.9))
    state.table.create_run(_evaluated("run-2", 2, loss=0.1, accuracy=0.8))
    state.table.create_run(_evaluated("run-3", 3, ref="refs/heads/dev", loss=0.05, accuracy=0.95))
    state.table.create_run(_evaluated("run-other", 3, loss=0.0001).model_copy(update={"name": "other"}))
    state.table.create_run(_evaluated("run-failed", 3, loss=0.0001).model_copy(update={"state": RunState.FAILED}))
    state.table.create_run(_evaluated("run-gone", 3, loss=0.0001).model_copy(update={"deleted_at": NOW}))
    state.table.create_run(_evaluated("run-later", 9, loss=0.0001))
    return state


def test_what_a_run_is_measured_against(history):
    found = references(history, _evaluated("run-4", 4), {"main", "dev", "project", "previous", "nobody"})
    assert found == {
        "main": {"loss": 0.1, "accuracy": 0.9},
        "dev": {"loss": 0.05, "accuracy": 0.95},
        "project": {"loss": 0.05, "accuracy": 0.95},
        "previous": {"loss": 0.1, "accuracy": 0.8},
        "nobody": {},
    }


@pytest.mark.parametrize(
    ("requirement", "verdict"),
    [
        ("< best of main", Verdict.PASSED),
        ("< best of project", Verdict.FAILED),
        ("<= best of nobody", Verdict.PASSED),
        ("best < best of feature/x-1", Verdict.PASSED),
    ],
)
def test_gates_against_other_runs(history, requirement, verdict):
    run = _evaluated("run-4", 4, spec={"evaluation": {"require": {"loss": requirement}}})
    history.table.create_run(run.model_copy(update={"evaluation": EvaluationFacet()}))
    history.objects.put(layout.metrics_key("run-4"), _metrics(loss=0.09).to_json())
    assert judge_run(history, "run-4").evaluation.verdict == verdict


def test_the_first_run_has_nothing_to_compare_with_but_must_have_measured():
    gate = evaluate(_metrics(loss=0.5), {"loss": "< best of main"}, {"main": {}}).gates[0]
    assert (gate.passed, gate.compared_with) == (True, None)
    assert "no earlier run" in gate.message.en
    assert not evaluate(_metrics(loss=math.nan), {"loss": "< best of main"}).gates[0].passed
    assert not evaluate(Metrics(), {"loss": "< best of main"}).gates[0].passed


def test_which_runs_requirements_name():
    assert references_in({"a": "< best of main", "b": ">= 0.9", "c": "nonsense", "d": "mean > best of previous"}) == {
        "main",
        "previous",
    }


def test_side_by_side():
    first = Entrant(
        _evaluated("run-1", spec={"hyperparameters": {"lr": 0.1, "epochs": 10}}, loss=0.5, accuracy=0.8), _on("a" * 40)
    )
    second = Entrant(
        _evaluated("run-2", spec={"hyperparameters": {"lr": 0.01, "epochs": 10}}, loss=0.4, f1=0.7), _on("b" * 40)
    )
    result = compare([first, second])
    assert [(row.name, row.values, row.differs) for row in result.parameters] == [
        ("lr", ["0.1", "0.01"], True),
        ("epochs", ["10", "10"], False),
    ]
    assert result.inputs[0].differs
    assert not any(row.differs for row in result.environment)
    loss, accuracy, f1 = result.best
    assert loss.differences[1] == pytest.approx(-0.1)
    assert loss.better == [None, True]
    assert (accuracy.values, accuracy.differences) == ([0.8, None], [0.0, None])
    assert f1.differences == [None, None]


def test_leaderboard():
    entrants = [
        Entrant(_evaluated("run-1", 1, val_accuracy=0.9), _on("a" * 40)),
        Entrant(_evaluated("run-2", 2, accuracy=0.95), _on("b" * 40)),
        Entrant(_evaluated("run-3", 3, accuracy=0.9), _on("a" * 40)),
        Entrant(_evaluated("run-4", 4, loss=0.1), []),
    ]
    assert [(place.rank, place.run_id) for place in leaderboard(entrants, "accuracy")] == [
        (1, "run-2"),
        (2, "run-1"),
        (3, "run-3"),
    ]
    on_a = leaderboard(entrants, "accuracy", f"dataset demo/digits@{'a' * 40}")
    assert [place.run_id for place in on_a] == ["run-1", "run-3"]
    assert len(leaderboard(entrants, "accuracy", "dataset demo/digits")) == 3
    assert leaderboard(entrants, "loss")[0].run_id == "run-4"
