"""Series that are too long for metrics.json: nothing of them is lost."""

from __future__ import annotations

import math

import pytest

from trainyard.logs.index import index_run
from trainyard.logs.series import read_points
from trainyard.model.metric import Metrics, Point
from trainyard.store import layout

RUN = "run-0123456789abcdefghjkmn"
LONG = 9500


def _value(step: int) -> float:
    return math.nan if step == 5000 else 1 / step


def _exact(objects, name: str, group: int = 0) -> list[Point]:
    points, start = [], 0
    while page := read_points(objects, RUN, group, name, start, 1234):
        points += page
        start += len(page)
    return points


def test_every_point_of_a_long_series(objects, ship):
    log = "".join(f"epoch: 1 step: {step}, loss is {_value(step)!r}\n" for step in range(1, LONG + 1))
    ship(log.encode(), size=50_000)
    index_run(objects, RUN)
    kept = Metrics.from_json(objects.get(layout.metrics_key(RUN))).groups[0]
    assert kept.counts == {"loss": LONG}
    assert len(kept.series["loss"]) < 5000
    points = _exact(objects, "loss")
    assert [(p.step, p.epoch) for p in points] == [(step, 1.0) for step in range(1, LONG + 1)]
    assert all(p.value == _value(p.step) or math.isnan(p.value) for p in points)
    assert math.isnan(points[4999].value)
    assert read_points(objects, RUN, 0, "loss", LONG, 10) == []


def test_a_series_that_is_whole_in_metrics_json_is_in_no_archive(objects, ship):
    ship(b"epoch: 1 step: 1, loss is 0.5\n")
    index_run(objects, RUN)
    assert read_points(objects, RUN, 0, "loss", 0, 10) is None
    assert objects.size(layout.series_key(RUN)) is None


@pytest.mark.parametrize("sweep", [False, True])
def test_long_series_of_a_file_beside_the_log(objects, ship, sweep):
    """The file's series counts, wherever merging put it."""
    log = "epoch: 1 step: 1, loss is 9\n" + "epoch: 2 step: 1, loss is 8\nepoch: 1 step: 1, loss is 7\n" * sweep
    ship(log.encode())
    rows = "".join(f"{step},{step / 2}\n" for step in range(LONG))
    objects.put(layout.output_prefix(RUN) + "metrics.csv", f"step,loss\n{rows}".encode())
    index_run(objects, RUN)
    group = 2 if sweep else 0
    assert [p.value for p in _exact(objects, "loss", group)] == [step / 2 for step in range(LONG)]
    assert read_points(objects, RUN, 1, "loss", 0, 10) is None


def test_steps_that_are_not_there_or_too_large(objects, ship):
    lines = "".join(f"loss: {number / 7:.17g}\n" for number in range(LONG - 1))
    ship((lines + f"global_step: {1 << 70} loss: 3\n").encode(), size=50_000)
    index_run(objects, RUN)
    points = _exact(objects, "loss")
    assert (len(points), points[7].value, points[-1].value) == (LONG, 1.0, 3.0)
    assert {p.step for p in points} == {None}
