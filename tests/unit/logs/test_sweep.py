"""The logs of a sweep's trainings, each indexed, and what all of them measured side by side."""

from __future__ import annotations

import pytest
from unit.logs.conftest import RUN, Ship

from trainyard.logs.live import read_lines
from trainyard.logs.sweep import index_sweep
from trainyard.model.metric import Metrics
from trainyard.store import layout
from trainyard.store.objects import Objects

COMBINATIONS = [{"lr": 0.1}, {"lr": 0.01}, {"lr": 1}]


def _printed(losses: list[float]) -> bytes:
    return "".join(f"epoch: {at} step: 1, loss is {loss}\n" for at, loss in enumerate(losses, 1)).encode()


def _metrics(objects: Objects) -> Metrics:
    return Metrics.from_json(objects.get(layout.metrics_key(RUN)))


def test_each_training_has_its_log_and_the_run_a_group_for_each(objects: Objects, ship: Ship) -> None:
    ship(_printed([0.9, 0.5]), run_id=layout.child_id(RUN, 0))
    ship(_printed([0.8, 0.3]), run_id=layout.child_id(RUN, 1))
    index_sweep(objects, RUN, COMBINATIONS)
    groups = _metrics(objects).groups
    assert [group.parameters["lr"] for group in groups] == [0.1, 0.01, 1]
    assert [[point.value for point in group.series.get("loss", [])] for group in groups] == [[0.9, 0.5], [0.8, 0.3], []]
    assert read_lines(objects, layout.child_id(RUN, 1), 2, 1).text == "epoch: 2 step: 1, loss is 0.3\n"


def test_what_was_indexed_before_is_not_read_again(objects: Objects, ship: Ship) -> None:
    ship(_printed([0.9]), run_id=layout.child_id(RUN, 0))
    index_sweep(objects, RUN, COMBINATIONS[:1])
    objects.delete_prefix(layout.log_chunk_prefix(layout.child_id(RUN, 0), 1))
    ship(_printed([0.7]), run_id=layout.child_id(RUN, 1))
    index_sweep(objects, RUN, COMBINATIONS[:2])
    assert [group.series["loss"][0].value for group in _metrics(objects).groups] == [0.9, 0.7]


def test_many_long_series_are_thinned_and_say_how_long_they_were(
    objects: Objects, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainyard.logs.sweep._MOST_POINTS", 20)
    for index in (0, 1):
        ship(_printed([1 / n for n in range(1, 101)]), 4000, run_id=layout.child_id(RUN, index))
    index_sweep(objects, RUN, COMBINATIONS[:2])
    for group in _metrics(objects).groups:
        assert len(group.series["loss"]) <= 10
        assert group.counts["loss"] == 100
        # The extremes stay.
        assert min(point.value for point in group.series["loss"]) == 0.01
