"""The Aim reader on a repository that Aim 3.29 wrote (`tests/data/aim`), fresh: never indexed, without its locks."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from trainyard.logs.laptop import read_file
from trainyard.logs.readers.aim import AimSequence, aim_metrics, read_aim

pytest.importorskip("aimrocks")
REPOSITORY = Path(__file__).parents[2] / "data" / "aim"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPOSITORY, tmp_path / "aim"))


def test_every_sequence_with_its_context(repository):
    (run,) = read_aim(repository)
    assert run.parameters == {"lr": 0.01, "batch_size": 32, "epochs": 3}
    series = {one.title: one.points for one in run.metrics()}
    assert set(series) == {"train_loss", "val_accuracy", "broken"}
    assert [(p.step, p.epoch, round(p.value, 3)) for p in series["val_accuracy"]] == [
        (4, 1, 0.6),
        (8, 2, 0.7),
        (12, 3, 0.8),
    ]
    assert [p.value for p in series["train_loss"]] == [1 / n for n in range(1, 13)]
    assert math.isnan(series["broken"][0].value)


def test_what_is_no_metric_is_listed_and_texts_are_shown(repository):
    (run,) = read_aim(repository)
    assert [(one.name, one.kind, one.steps) for one in run.objects()] == [
        ("note", "aim.text", [1]),
        ("weights", "aim.distribution", [1]),
    ]
    assert run.objects()[0].texts == {1: "hello"}


def test_as_metrics_of_the_run(repository):
    metrics = aim_metrics(read_aim(repository))
    assert metrics.groups[0].parameters["batch_size"] == 32
    assert read_file(repository).names() == metrics.names()


def test_nothing_is_written(repository):
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    read_aim(repository)
    assert {path: path.read_bytes() for path in repository.rglob("*") if path in before} == before


@pytest.mark.parametrize("damage", ["MANIFEST-000004", "CURRENT", "000009.sst"])
def test_a_damaged_run_is_left_out(repository, damage):
    for path in repository.rglob(damage):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert not [one for run in read_aim(repository) for one in run.metrics()]


def test_no_repository(tmp_path):
    assert read_aim(tmp_path) == []
    (tmp_path / ".aim" / "meta" / "chunks" / "empty").mkdir(parents=True)
    assert read_aim(tmp_path) == []


@pytest.mark.parametrize(
    ("context", "title"),
    [
        ({}, "loss"),
        ({"subset": "val"}, "val_loss"),
        ({"subset": "other"}, "loss{subset=other}"),
        ({"b": 1, "a": 2}, "loss{a=2, b=1}"),
    ],
)
def test_titles(context, title):
    assert AimSequence("loss", context).title == title
