"""Objects in the bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.store import State
from trainyard.store.objects import ObjectMissingError


def test_written_and_read(state: State) -> None:
    objects = state.objects
    assert objects.put("a/1", b"0123456789")
    assert objects.get("a/1") == b"0123456789"
    assert objects.get_range("a/1", 2, 5) == b"234"
    assert objects.get_range("a/1", 8, 50) == b"89"
    assert objects.get_range("a/1", 10, 12) == b""
    assert objects.get_range("a/1", 5, 5) == b""
    assert objects.size("a/1") == 10
    assert objects.size("a/2") is None
    assert b"".join(objects.stream("a/1")) == b"0123456789"
    with pytest.raises(ObjectMissingError):
        objects.get("a/2")


def test_only_if_absent(state: State) -> None:
    assert state.objects.put("owner", b"first", if_absent=True)
    assert not state.objects.put("owner", b"second", if_absent=True)
    assert state.objects.get("owner") == b"first"


def test_found_in_order_behind_a_key_and_bounded(state: State) -> None:
    for number in range(7):
        state.objects.put(f"log/{number:03d}", b"x" * number)
    assert [entry.size for entry in state.objects.find("log/")] == list(range(7))
    assert [entry.key for entry in state.objects.find("log/", start_after="log/004")] == ["log/005", "log/006"]
    assert [entry.key for entry in state.objects.find("log/", limit=2)] == ["log/000", "log/001"]
    assert list(state.objects.find("none/")) == []


def test_files_and_long_objects(state: State, tmp_path: Path) -> None:
    with state.objects.writer("long") as writer:
        for _ in range(20):
            writer.write(b"y" * (1 << 20))
    assert state.objects.size("long") == 20 << 20
    state.objects.get_file("long", tmp_path / "long")
    state.objects.put_file("copy", tmp_path / "long")
    assert state.objects.size("copy") == 20 << 20
    with state.objects.writer("short") as writer:
        writer.write(b"z")
    assert state.objects.get("short") == b"z"


def test_nothing_appears_where_writing_failed(state: State) -> None:
    def fail_half_way() -> None:
        with state.objects.writer("broken") as writer:
            writer.write(b"y" * (9 << 20))
            raise OSError

    with pytest.raises(OSError):
        fail_half_way()
    assert state.objects.size("broken") is None


def test_a_prefix_is_deleted_and_nothing_beside_it(state: State) -> None:
    for key in ("runs/1/a", "runs/1/b/c", "runs/10/a"):
        state.objects.put(key, b"")
    assert state.objects.delete_prefix("runs/1/") == 2
    assert [entry.key for entry in state.objects.find("runs/")] == ["runs/10/a"]
    with pytest.raises(ValueError):
        state.objects.delete_prefix("runs/1")


def test_addresses_say_what_may_be_sent_and_fetched(state: State) -> None:
    address, headers = state.objects.upload_address("lfs/x", 3, "ab" * 32)
    assert "X-Amz-Signature" in address
    assert set(headers) == {"Content-Type", "x-amz-checksum-sha256"}
    download = state.objects.download_address("lfs/x", file_name='模型 "1".ckpt')
    assert "%2522" in download
    assert '"1"' not in download
