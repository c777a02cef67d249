"""Metric files that are made to fill the memory of whoever reads them. Each names how much it may take."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.readers.test_file_readers import _field, _scalar

from trainyard.logs import recorder
from trainyard.logs.laptop import read_metrics_file
from trainyard.logs.readers import event_file, files
from trainyard.logs.readers.contract import Row

MB = 1 << 20


def event(record: bytes) -> bytes:
    return struct.pack("<Q", len(record)) + b"crc1" + record + b"crc2"


def values(count: int) -> bytes:
    return _field(5, b"".join(_field(1, _field(1, b"%d" % number) + _scalar("simple", 1)) for number in range(count)))


GOOD = event(b"\x10\x01" + _field(5, _field(1, _field(1, b"loss") + _scalar("simple", 0.5))))
BOMBS = {
    "a line of one cell": ("m.csv", lambda: b"step,loss\n1," + b"9" * (30 * MB) + b"\n"),
    "a line of cells without end": ("m.csv", lambda: b"step,loss\n" + b"1," * (8 * MB) + b"\n"),
    "a header without end": ("m.csv", lambda: b"step," + b"loss," * (2 * MB) + b"\n1,2\n"),
    "a document of nothing": ("metrics.json", lambda: b'{"a":[' + b"{}," * (6 * MB) + b"0]}"),
    "a history of nothing": ("trainer_state.json", lambda: b'{"log_history":[' + b"{}," * (6 * MB) + b"0]}"),
    "a document without bottom": ("metrics.json", lambda: b'{"a":' + b"[" * MB),
    "a number without end": ("metrics.json", lambda: b'{"a":' + b"9" * MB + b"}"),
    "a line without end": ("m.jsonl", lambda: b'{"step":1,"loss":' + b" " * (30 * MB) + b"1}"),
    "a line without bottom": ("m.jsonl", lambda: b'{"a":' + b"[" * 500_000 + b"\n"),
    "names without end": ("m.jsonl", lambda: b"".join(
        json.dumps({"step": 1, f"{number}" + "n" * 20_000: 1.0}).encode() + b"\n" for number in range(1000)
    )),
    "a record that says it is large": ("x.tfevents.1", lambda: struct.pack("<Q", 1 << 62) + b"crc1" + bytes(MB)),
    "a record of values without end": ("x.tfevents.1", lambda: event(values(100_000))),
    "fields without end": ("x.tfevents.1", lambda: event(b"\x2a\x00" * (MB // 2))),
    "a field that is longer than its record": ("x.tfevents.1", lambda: event(b"\x2a\xff\xff\xff\xff\x7f" + bytes(MB))),
}  # fmt: skip


@pytest.mark.parametrize("which", BOMBS)
def test_a_bomb_takes_no_more_than_100_mb(which: str, tmp_path: Path) -> None:
    name, made = BOMBS[which]
    path = tmp_path / name
    path.write_bytes(made())
    tracemalloc.start()
    try:
        metrics = read_metrics_file(path, name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * MB
    assert metrics is not None
    for group in metrics.groups:
        assert all(len(series) <= recorder.LONGEST_NAME for series in group.series)
        assert len(group.series) <= recorder.SERIES_KEPT


def test_a_large_record_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "_LONGEST_RECORD", 1000)
    path = tmp_path / "x.tfevents.1"
    path.write_bytes(event(bytes(5000)) + GOOD)
    metrics = read_metrics_file(path, path.name)
    assert metrics is not None
    assert metrics.names() == ["loss"]


def test_documents_are_read_whole_to_16_mib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.LARGEST_DOCUMENT == 16 * MB


def test_series_and_parameters_have_an_end_however_many_trainings_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SERIES_IN_ALL", 30)
    monkeypatch.setattr(recorder, "PARAMETERS_KEPT", 5)
    kept = recorder.Recorder()

    def rows() -> Iterator[Row]:
        for training in range(20):
            yield Row({}, parameters={f"p{training}-{number}": number for number in range(10)})
            for epoch in (1.0, 2.0):
                yield Row({f"m{number}": 0.5 for number in range(4)}, epoch=epoch)

    for row in rows():
        kept.add(row, "x")
    groups = kept.metrics().groups
    assert sum(len(group.series) for group in groups) <= 30
    assert max(len(group.parameters) for group in groups) <= 5
