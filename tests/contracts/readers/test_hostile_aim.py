"""An Aim repository that a script made to harm whoever reads it: it is read elsewhere, and that has an end."""

from __future__ import annotations

import json
import shutil
import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainyard.logs.readers import aim
from trainyard.logs.readers.aim import read_aim

pytest.importorskip("aimrocks")
REPOSITORY = Path(__file__).parents[2] / "data" / "aim"
BOUNDED = "from trainyard.logs.readers import aim_files as reader; {}; reader.main()"


def key(*parts: str | int) -> bytes:
    return b"".join(
        (b"\xfe" + struct.pack(">q", part) if isinstance(part, int) else part.encode()) + b"\xfe" for part in parts
    )


def run(folder: Path, name: str, rows: dict[bytes, bytes]) -> None:
    """A run of Aim's in RocksDB, with these rows of sequences."""
    import aimrocks

    for kind, content in (("meta", {key("meta", "chunks", name, "attrs", "lr"): b"\x03" + struct.pack("<d", 0.1)}),
                          ("seqs", rows)):  # fmt: skip
        place = folder / ".aim" / kind / "chunks" / name
        place.mkdir(parents=True)
        options = aimrocks.Options(create_if_missing=True, compression=aimrocks.CompressionType.zlib_compression)
        database = aimrocks.DB(str(place), options)
        for at, value in content.items():
            database.put(at, value)
        database.flush()


def points(name: str, count: int, step: bytes | None = None) -> dict[bytes, bytes]:
    rows = {}
    for number in range(count):
        rows[key("seqs", "v2", "chunks", name, 0, "loss", "val", number)] = b"\x03" + struct.pack("<d", number)
        rows[key("seqs", "v2", "chunks", name, 0, "loss", "step", number)] = step or b"\x02" + struct.pack("<q", number)
    return rows


def reading(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(aim, "_READER", ("-c", code))


def test_a_value_that_unfolds_to_more_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "a", points("a", 3))
    run(
        tmp_path,
        "b",
        {**points("b", 3), key("seqs", "v2", "chunks", "b", 0, "x", "val", 0): b"\x04" + bytes(200 << 20)},
    )
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.sst")) < 1 << 20
    reading(monkeypatch, BOUNDED.format("reader._MEMORY_BYTES = 450 << 20"))
    assert [len(one.metrics()[0].points) for one in read_aim(tmp_path)] == [3]


def test_threads_set_no_memory_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RocksDB has a few: what they might take must not leave too little to read with."""
    reading(monkeypatch, BOUNDED.format("reader._MEMORY_BYTES = 256 << 20"))
    assert len(read_aim(REPOSITORY)) == 1


def test_rows_and_names_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {key("seqs", "v2", "chunks", "a", 0, f"m{number}", "val", 0): b"\x03" + bytes(8) for number in range(50)}
    long = {key("seqs", "v2", "chunks", "a", 0, "n" * 5000, "val", 0): b"\x03" + bytes(8)}
    run(tmp_path, "a", {**points("a", 30), **many, **long})
    reading(monkeypatch, BOUNDED.format("reader._MOST_SEQUENCES = 10"))
    assert len(read_aim(tmp_path)[0].sequences) == 10
    reading(monkeypatch, BOUNDED.format("reader._MOST_ROWS = 40"))
    assert sum(len(one.points) for one in read_aim(tmp_path)[0].sequences) <= 40
    monkeypatch.undo()
    monkeypatch.setattr(aim, "MOST_POINTS", 5)
    (cut,) = read_aim(tmp_path)
    assert sum(len(one.points) for one in cut.sequences) == 5
    assert max(len(one.name) for one in cut.sequences) < 5000


def test_objects_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = {}
    for number in range(30):
        images[key("seqs", "v2", "chunks", "a", 0, "grid", "val", number, "caption")] = b"\x04" + b"c" * 9000
        images[key("BLOBS", "seqs", "v2", "chunks", "a", 0, "grid", "val", number, "data")] = b"\x05" + bytes(1000)
    run(tmp_path, "a", {**points("a", 1), **images, key("seqs", "v2", "chunks", "a", 0, "grid", "val", 0): b"\x00"})
    reading(monkeypatch, BOUNDED.format("reader._MOST_ITEMS = 20; reader._OBJECT_BYTES = 5000"))
    (grid,) = (one for one in read_aim(tmp_path)[0].sequences if one.name == "grid")
    assert len(grid.items) == 20
    assert sum(len(item.data or b"") for item in grid.items) == 5000
    assert {len(str(item.about["caption"])) for item in grid.items if item.about} == {2000}


@pytest.mark.parametrize("step", [float("nan"), float("inf"), 1e300])
def test_steps_that_count_nothing(tmp_path: Path, step: float) -> None:
    run(tmp_path, "a", points("a", 2, b"\x03" + struct.pack("<d", step)))
    assert [point.value for point in read_aim(tmp_path)[0].metrics()[0].points] == [0.0, 1.0]


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import os; os.abort()",
        "while True: print('x' * 1000, end='')",
        "while True: print('[]')",
        "print('[' * 100000)",
        "print('{\"hash\": 1}')",
    ],
)
def test_a_reader_that_was_overcome_does_no_more_harm(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(aim, "READING_SECONDS", 2.0)
    monkeypatch.setattr(aim, "MOST_BYTES", 1 << 20)
    reading(monkeypatch, code)
    begun = time.monotonic()
    assert read_aim(REPOSITORY) == []
    assert time.monotonic() - begun < 30


def test_the_reader_has_nothing_that_is_worth_having(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    told = {"hash": "", "parameters": {}, "sequences": []}
    reading(monkeypatch, f"import json, os; print(json.dumps({{**{json.dumps(told)}, 'hash': str(dict(os.environ))}}))")
    (said,) = read_aim(REPOSITORY)
    assert "PYTHONPATH" in said.hash
    assert "AWS" not in said.hash


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_files_that_are_bent_anywhere(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("bent")
    shutil.copytree(REPOSITORY, folder / "aim")
    files = sorted(path for path in (folder / "aim").rglob("*") if path.is_file() and path.stat().st_size)
    path = data.draw(st.sampled_from(files))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for one in read_aim(folder / "aim"):
        assert one.hash
    shutil.rmtree(folder)
