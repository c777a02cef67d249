from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.logs import metrics as scanning
from trainyard.logs.metrics import MetricScanner
from trainyard.model.metric import MetricGroup, Metrics, Point, downsample
from trainyard.model.scopes import Scopes


def scan(log: str | bytes, points_kept: int | None = 4000) -> Metrics:
    scanner = MetricScanner(points_kept)
    scanner.feed(log.encode() if isinstance(log, str) else log)
    return scanner.finish()


def _steps(epochs: int, loss: float = 1.0) -> str:
    return "".join(f"epoch: {epoch} step: 44, loss is {loss / epoch}\n" for epoch in range(1, epochs + 1))


def test_groups_split_where_the_epoch_falls():
    metrics = scan(_steps(3) + _steps(2, 5.0) + _steps(4, 7.0))
    assert [len(group.series["loss"]) for group in metrics.groups] == [3, 2, 4]
    assert [group.series["loss"][0].value for group in metrics.groups] == [1.0, 5.0, 7.0]


def test_two_monitors_that_count_differently_do_not_split():
    log = "".join(
        f"Epoch:[{epoch:3}/  3], step:[   44/   44], loss:[0.1/0.2], time:1.0 ms, lr:0.05000\n"
        f"Epoch: [{epoch + 1:3} /   3], Train Loss: [0.1], Accuracy:  0.9\n"
        for epoch in [0, 1, 2, 0, 1, 2]
    )
    metrics = scan(log)
    assert [len(group.series["accuracy"]) for group in metrics.groups] == [3, 3]
    assert [point.epoch for point in metrics.groups[1].series["loss"]] == [1, 2, 3]


def test_a_sweep_gets_the_parameters_that_the_log_states():
    log = "".join(f"batch_size: {size}, lr: {rate}\n" + _steps(2) for size, rate in ((32, 0.1), (64, 0.01)))
    assert [group.parameters for group in scan(log).groups] == [
        {"batch_size": 32, "learning_rate": 0.1},
        {"batch_size": 64, "learning_rate": 0.01},
    ]


def test_a_sweep_of_single_epochs_is_split_by_what_it_states():
    log = "".join(f"lr={rate}\n{_steps(1)}" for rate in (0.1, 0.01, 0.001))
    assert [group.parameters for group in scan(log).groups] == [{"learning_rate": rate} for rate in (0.1, 0.01, 0.001)]


def test_a_sweep_that_printed_its_learning_rate_is_told_apart_by_it():
    log = "".join(
        f"Epoch:[{epoch:3}/  2], step:[   44/   44], loss:[0.1/0.2], time:1.0 ms, lr:{rate}\n"
        for rate in (0.05, 0.01)
        for epoch in (0, 1)
    )
    assert [group.parameters for group in scan(log).groups] == [{"learning_rate": 0.05}, {"learning_rate": 0.01}]


def test_parameters_in_the_order_of_the_tutorial_and_more_groups_than_combinations():
    metrics = Metrics([MetricGroup() for _ in range(5)])
    metrics.groups[1].parameters["learning_rate"] = 0.5
    scopes = Scopes(batch_size=[16, 32], learning_rate=[0.1, 0.01])
    combinations = [
        {"batch_size": 16, "learning_rate": 0.1},
        {"batch_size": 16, "learning_rate": 0.01},
        {"batch_size": 32, "learning_rate": 0.1},
        {"batch_size": 32, "learning_rate": 0.01},
        {},
    ]
    assert [group.parameters for group in scopes.named(metrics, anew=True).groups] == combinations
    combinations[1]["learning_rate"] = 0.5
    assert [group.parameters for group in scopes.named(metrics).groups] == combinations
    assert metrics.groups[0].parameters == {}
    assert Scopes().named(Metrics([MetricGroup()])).groups[0].parameters == {}


_LINES = st.sampled_from(
    [
        "Epoch:[{zero:3}/  9], step:[{step:5}/   44], loss:[{value:.3f}/0.314], time:2.5 ms, lr:0.01000",
        "epoch: {epoch} step: {step}, loss is {value}",
        "Epoch time: 50.5 ms, per step time: 1.5 ms",
        "val accuracy: {value}",
        "[INFO] 12:00:01 worker 3: batch 7",
        '{{"epoch": {epoch}, "f1": {value}}}',
        "Epoch:[  0/  3], step:[   22/   44], loss:[bad/2.304]",
        "",
        "loss=0.5 acc: 0.7",
        "epoch: {epoch} step: 0{step}, loss is nan",
        "epoch: {epoch} step: {step}, loss is true",
        "epoch: {epoch} step: {step}, loss is +1",
        "epoch: {epoch} step: {step}, loss is -Infinity",
    ]
)


@given(
    st.lists(st.tuples(_LINES, st.integers(0, 3), st.integers(1, 60)), min_size=1, max_size=8),
    st.booleans(),
)
@settings(max_examples=60)
def test_tables_and_rows_read_the_same(kinds, rising):
    chance = random.Random(len(kinds))
    lines, epoch = [], 0
    for form, rise, repeats in kinds:
        epoch = epoch + rise if rising else chance.randrange(4)
        lines += [
            form.format(zero=epoch, epoch=epoch + 1, step=step + 1, value=chance.random()) for step in range(repeats)
        ]
    log = "\n".join(lines).encode()
    small, scanning._SMALL = scanning._SMALL, 0
    try:
        as_tables = scan(log).to_dict()
        scanning._SMALL = 1 << 30
        as_rows = scan(log).to_dict()
    finally:
        scanning._SMALL = small
    assert as_tables == as_rows


def test_two_monitors_of_one_loss_stay_in_the_order_in_which_they_printed():
    log = "".join(
        f"Epoch:[  0/  9], step:[{step:5}/ 9000], loss:[{step}.5/0.3], time:2.5 ms, lr:0.01000\nhello {step}\n"
        f"epoch: 1 step: {step}, loss is {step}.25\n"
        for step in range(1, 1901)
    )
    (group,) = scan(log).groups
    assert [point.value for point in group.series["loss"]] == [
        value for step in range(1, 1901) for value in (step + 0.5, step + 0.25)
    ]
    assert len(group.series["mean_loss"]) == 1900


def test_what_only_looks_like_a_table_is_none():
    assert scan("the loss is high\n" * 2000).groups == []


@pytest.mark.parametrize("line", ["epoch: 1 step: {}, loss is {}\n", "epoch 1 step {} loss: {}\n"])
def test_a_long_series_keeps_its_extremes_its_ends_and_its_length(line):
    values = [math.sin(number / 500) for number in range(50_000)]
    values[12_345], values[33_333], values[40_000] = 99.0, -99.0, math.nan
    group = scan("".join(line.format(number, value) for number, value in enumerate(values))).groups[0]
    kept = group.series["loss"]
    assert len(kept) <= 4000 + 5
    assert group.counts == {"loss": 50_000}
    assert {point.value for point in kept} >= {99.0, -99.0, values[0], values[-1]}
    assert any(math.isnan(point.value) and point.step == 40_000 for point in kept)
    assert [point.step for point in kept] == sorted(point.step for point in kept)
    gaps = [after.step - before.step for before, after in pairwise(kept)]
    assert max(gaps) < 200
    exact = scan("".join(line.format(number, value) for number, value in enumerate(values)), None).groups[0]
    assert len(exact.series["loss"]) == 50_000
    assert exact.counts == {}


@given(st.lists(st.floats(), max_size=300), st.integers(5, 50))
def test_downsampling_keeps_what_matters(values, limit):
    points = [Point(number, None, value) for number, value in enumerate(values)]
    kept = downsample(points, limit)
    assert len(kept) <= max(limit, 0)
    assert kept == sorted(kept, key=lambda point: point.step)
    if points:
        assert (kept[0].step, kept[-1].step) == (0, len(points) - 1)
        finite = [value for value in values if not math.isnan(value)]
        if finite:
            assert min(finite) in [point.value for point in kept]
            assert max(finite) in [point.value for point in kept]


@pytest.mark.parametrize(
    "hostile",
    [
        b"{'" * 200_000, b"Eval result: epoch 1, metrics: {" * 30_000, b"{'a" + b"'epoch': 1" * 100_000, b"\nEpoch 1/2 " + b"1/1 1 " * 100_000,
        b"\n 1/1 1 " + b" " * 500_000, b"loss: " * 100_000, b"\n1/1 " + b" - w" * 200_000, b"=" * 500_000, b"loss" * 200_000 + b": 1",
        b'\n{"' + b"[" * 15_000 + b"}\n", b"Epoch 1:   1%|" + b"|" * 400_000, b"\x1b[" + b"1;" * 300_000, b"\x1b]" * 200_000,
        b"epoch:" + b" " * 900_000, b"\n" * 900_000, b"\r" * 900_000, b"\x08" * 900_000,
    ],
    ids=lambda data: repr(data[:20]),
)  # fmt: skip
def test_hostile_lines_take_no_longer_than_others(hostile):
    """Run with the whole suite's own limit: a quadratic pattern would take minutes here."""
    scanner = MetricScanner()
    scanner.feed(hostile)
    scanner.feed(b"\nval accuracy: 0.5\n")
    assert scanner.finish().groups[-1].series["val_accuracy"][0].value == 0.5


def test_too_many_names_and_groups_stay_bounded():
    metrics = scan("".join(f'{{"epoch": 1, "loss{number}": 1}}\n' for number in range(2000)))
    assert len(metrics.groups[0].series) == 500
    metrics = scan((_steps(2) * 3000).encode())
    assert len(metrics.groups) == 1000
