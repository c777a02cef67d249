"""The contract of file readers: every kind read whole, and never upset by a file that is damaged or still being written."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest

from trainyard.logs.laptop import merged, read_file, read_folder
from trainyard.logs.readers.files import REGISTRY, new_file_reader, reader_of
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.metric import MetricGroup, Metrics, Point

LOGS = Path(__file__).parents[2] / "data" / "logs"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _scalar(kind: str, value: float) -> bytes:
    if kind == "tensor":
        return _field(8, _varint(1 << 3) + b"\x01" + _field(4, struct.pack("<f", value)))
    return _varint((3 if kind == "mindspore" else 2) << 3 | 5) + struct.pack("<f", value)


def event_file(kind: str, values: dict[str, list[float]]) -> bytes:
    """As the writers do: a version record first, then one event for each step. Checksums are not looked at."""
    events = [b"\x09" + struct.pack("<d", 1.0) + _field(3, b"brain.Event:2")]
    for step in range(max(map(len, values.values()))):
        summary = b"".join(
            _field(1, _field(1, tag.encode()) + _scalar(kind, series[step])) for tag, series in values.items()
        )
        events.append(b"\x09" + struct.pack("<d", 1.0) + b"\x10" + _varint(step * 100) + _field(5, summary))
    return b"".join(struct.pack("<Q", len(event)) + b"crc1" + event + b"crc2" for event in events)


FILES = {
    "logs/events.out.tfevents.1700000000.host.1.0": event_file(
        "simple", {"train/loss": [0.5, 0.25], "acc": [0.5, 0.75]}
    ),
    "events.out.tfevents.1700000000.host.2.0": event_file("tensor", {"epoch_loss": [0.5, 0.25]}),
    "summary/events.out.events.summary.1700000000.x_MS": event_file("mindspore", {"loss/auto": [0.5, 0.25]}),
    "lightning/metrics.csv": (LOGS / "lightning_metrics.csv").read_bytes(),
    "results.csv": b"                  epoch,         train/box_loss,  metrics/mAP50(B)\n      1,     5.133,    0.5\n    2,  4.0,  0.6\n",
    "metrics.jsonl": b'{"epoch": 1, "step": 44, "loss": 0.5, "accuracy": 0.9}\n{"epoch": 2, "step": 88, "loss": 0.25}\n',
    "trainer_state.json": json.dumps(
        {"log_history": [{"epoch": 0.5, "step": 10, "loss": 0.5}, {"epoch": 1.0, "step": 20, "eval_loss": 0.25}]}
    ).encode(),
    "metrics.json": b'{"accuracy": 0.97, "name": "lenet"}',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("name", REGISTRY)
def test_every_reader_recognizes_a_file_and_no_checkpoint(name):
    reader = new_file_reader(name)
    assert reader.name == name
    assert any(reader.recognizes(file, data[:4096]) for file, data in FILES.items())
    assert not reader.recognizes("lenet-1_44.ckpt", b"\n\x20\n\x0cconv1.weight")
    assert not reader.recognizes("predictions.csv", b"id,label\n1,7\n")


def test_every_file_is_read(folder):
    found = read_folder(folder)
    assert set(found) == set(FILES)
    series = {name: {k: [tuple(p) for p in v] for k, v in one.groups[0].series.items()} for name, one in found.items()}
    tensorboard, tensors, mindspore, lightning, ultralytics, lines, state, final = (series[name] for name in FILES)
    assert tensorboard == {
        "train/loss": [(0, None, 0.5), (100, None, 0.25)],
        "acc": [(0, None, 0.5), (100, None, 0.75)],
    }
    assert tensors == {"epoch_loss": [(0, None, 0.5), (100, None, 0.25)]}
    assert mindspore == {"loss/auto": [(0, None, 0.5), (100, None, 0.25)]}
    assert lightning["val_acc"] == [(22, 0, 0.8138889074325562), (45, 1, 0.8666666746139526)]
    assert ultralytics == {
        "train/box_loss": [(None, 1, 5.133), (None, 2, 4.0)],
        "metrics/mAP50(B)": [(None, 1, 0.5), (None, 2, 0.6)],
    }
    assert lines == {"loss": [(44, 1, 0.5), (88, 2, 0.25)], "accuracy": [(44, 1, 0.9)]}
    assert state == {"loss": [(10, 0.5, 0.5)], "eval_loss": [(20, 1.0, 0.25)]}
    assert final == {"accuracy": [(None, None, 0.97)]}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_or_damaged_anywhere_gives_what_is_whole(name, tmp_path):
    data, path = FILES[name], tmp_path / "file"
    reader = reader_of(name, data[:4096])
    path.write_bytes(data)
    whole = len(list(reader.rows(path)))
    chance = random.Random(0)
    for length in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:length])
        assert len(list(reader.rows(path))) <= whole
        damaged = bytearray(data)
        damaged[length] = chance.randrange(256)
        path.write_bytes(damaged)
        list(reader.rows(path))


def test_files_beat_the_log_of_one_training():
    log = Metrics([MetricGroup({"seed": 1}, {"loss": [Point(1, 1, 0.3)], "lr": [Point(1, 1, 0.1)]}, {"loss": 9000})])
    file = Metrics([MetricGroup({}, {"loss": [Point(1, 1, 0.31234)], "f1": [Point(1, 1, 0.5)]})])
    (group,) = merged(log, {"metrics.csv": file}).groups
    assert (group.series["loss"][0].value, set(group.series)) == (0.31234, {"loss", "lr", "f1"})
    assert (group.parameters, group.counts) == ({"seed": 1}, {})


def test_files_stand_beside_the_groups_of_a_sweep():
    log = Metrics([MetricGroup(), MetricGroup()])
    groups = merged(log, {"a.csv": Metrics([MetricGroup()])}).groups
    assert [group.parameters for group in groups] == [{}, {}, {"file": "a.csv"}]
    assert merged(Metrics(), {}).groups == []


def test_on_a_laptop(folder, tmp_path):
    import gzip

    log = (LOGS / "lenet5_pretrain_ms2.10_graph.log").read_bytes()
    (tmp_path / "log.gz").write_bytes(gzip.compress(log[:700]) + gzip.compress(log[700:]))
    assert read_file(tmp_path / "log.gz") == read_file(LOGS / "lenet5_pretrain_ms2.10_graph.log")
    assert read_file(folder / "metrics.jsonl").names() == ["loss", "accuracy"]
    assert "train/loss" in read_file(folder).names()
    metrics = read_file(LOGS / "nan.log")
    (tmp_path / "own.json").write_bytes(metrics.to_json())
    assert read_file(tmp_path / "own.json").to_dict() == metrics.to_dict()
    with pytest.raises(NotFound):
        read_file(tmp_path / "absent")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(log)[:200])
    with pytest.raises(InvalidInput):
        read_file(tmp_path / "cut.gz")
