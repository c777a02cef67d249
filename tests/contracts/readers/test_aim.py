"""The Aim reader on a repository that Aim 3.29 wrote (`tests/data/aim`), fresh: never indexed, without its locks."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from trainyard.logs.laptop import read_file
from trainyard.logs.readers.aim import AimSequence, aim_metrics, read_aim

pytest.importorskip("aimrocks")
OBJECTS = Path(__file__).parents[2] / "data" / "aim_objects"
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
    assert [(one.name, one.kind, [item.step for item in one.items]) for one in run.objects()] == [
        ("note", "aim.text", [1]),
        ("weights", "aim.distribution", [1]),
    ]
    assert run.objects()[0].items[0].text == "hello"


def test_images_texts_and_distributions_alone_and_in_lists():
    (run,) = read_aim(OBJECTS)
    found = {one.name: one for one in run.objects()}
    assert {name: (one.kind, len(one.items)) for name, one in found.items()} == {
        "grid": ("list(aim.image)", 3),
        "note": ("aim.text", 2),
        "sample": ("aim.image", 2),
        "weights": ("aim.distribution", 2),
        "words": ("list(aim.text)", 2),
    }
    assert [(i.step, i.index, i.image_type, i.about["caption"]) for i in found["grid"].items] == [
        (1, n, "image/jpeg", f"grid {n}") for n in range(3)
    ]
    assert [(i.step, i.index, i.image_type) for i in found["sample"].items] == [
        (1, None, "image/png"),
        (2, None, "image/png"),
    ]
    assert [i.text for i in found["words"].items] == ["a", "b"]
    counts, low, high = found["weights"].items[1].histogram
    assert (sum(counts), len(counts)) == (50, 8)
    assert low < 0 < high
    assert found["weights"].context == {"layer": "fc1"}
    assert [p.value for p in run.metrics()[0].points] == [1.0, 0.5]


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
