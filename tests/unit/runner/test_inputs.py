"""Staging: byte for byte, in parts, continued, from the cache, and never what was not pinned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.runner.rig import Rig

from trainyard.model.request import InputFile, PinnedInput
from trainyard.runner import inputs, parts
from trainyard.runner.errors import SetupError, StopRequestedError
from trainyard.runner.inputs import ContentCache, stage_inputs
from trainyard.runner.stop import Stop
from trainyard.store.download import Downloads

PART = 1 << 12


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", PART)
    monkeypatch.setattr(inputs, "LARGE_BYTES", 2 * PART)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Key and first byte of everything that is read from the bucket."""
    seen: list[tuple[str, int]] = []
    stream = Downloads.stream

    def noted(self: Downloads, key: str, start: int = 0, end: int | None = None, etag: str = "") -> Iterator[bytes]:
        seen.append((key, start))
        return stream(self, key, start, end, etag)

    monkeypatch.setattr(Downloads, "stream", noted)
    return seen


def stage(rig: Rig, pinned: PinnedInput, folder: str, stop: Stop | None = None) -> Path:
    cache = ContentCache(rig.scratch / "content")
    return stage_inputs(rig.objects, cache, [pinned], rig.scratch / folder, stop or Stop())[pinned.argument]


def test_a_folder_arrives_as_a_folder_and_a_second_job_copies_nothing(rig: Rig, asked: list[tuple[str, int]]) -> None:
    files = {f"{number % 3}/{number}": os.urandom(number) for number in range(20)}
    pinned = rig.put_input("data_url", files)
    first = stage(rig, pinned, "first")
    fetched = len(asked)
    second = stage(rig, pinned, "second")
    assert len(asked) == fetched == 20
    for path, content in files.items():
        assert (second / path).read_bytes() == content
        assert (second / path).samefile(first / path)
        assert not (second / path).stat().st_mode & 0o222


def test_a_kept_file_that_was_written_to_is_fetched_again(rig: Rig) -> None:
    pinned = rig.put_input("data_url", {"x": b"right"}, is_file=True)
    first = stage(rig, pinned, "first")
    first.chmod(0o644)
    first.write_bytes(b"wrong")
    assert stage(rig, pinned, "second").read_bytes() == b"right"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [2 * PART, 5 * PART - 1, 5 * PART, 5 * PART + 1])
def test_a_large_file_comes_in_parts(rig: Rig, asked: list[tuple[str, int]], size: int) -> None:
    content = os.urandom(size)
    assert stage(rig, rig.put_input("data_url", {"big": content}, is_file=True), "first").read_bytes() == content
    assert sorted(start for _, start in asked) == list(range(0, size, PART))
    assert list((rig.scratch / "content").rglob("*.part*")) == []


@pytest.mark.usefixtures("small_parts")
def test_what_broke_off_is_continued(rig: Rig, asked: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(6 * PART)
    pinned = rig.put_input("data_url", {"big": content}, is_file=True)
    with monkeypatch.context() as context:
        stream = Downloads.stream

        def breaks(
            self: Downloads, key: str, start: int = 0, end: int | None = None, etag: str = ""
        ) -> Iterator[bytes]:
            if start == 4 * PART:
                raise RuntimeError("the network is gone")
            return stream(self, key, start, end, etag)

        context.setattr(Downloads, "stream", breaks)
        with pytest.raises(RuntimeError):
            stage(rig, pinned, "first")
    before = {start for _, start in asked}
    asked.clear()
    assert stage(rig, pinned, "second").read_bytes() == content
    again = {start for _, start in asked}
    assert 4 * PART in again
    assert 0 in before
    assert 0 not in again, "a part that was there came twice"


@pytest.mark.usefixtures("small_parts")
def test_parts_that_were_spoilt_meanwhile_are_not_believed(rig: Rig) -> None:
    content = os.urandom(4 * PART)
    pinned = rig.put_input("data_url", {"big": content}, is_file=True)
    place = ContentCache(rig.scratch / "content").path(pinned.files[0])
    place.parent.mkdir(parents=True)
    place.with_suffix(".part").write_bytes(os.urandom(4 * PART))
    place.with_suffix(".parts").write_bytes(b"1111")
    assert stage(rig, pinned, "first").read_bytes() == content


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [10, 5 * PART])
def test_other_bytes_than_the_pinned_ones_are_refused_and_not_kept(rig: Rig, size: int) -> None:
    pinned = rig.put_input("data_url", {"x": os.urandom(size)}, is_file=True)
    rig.objects.put(pinned.files[0].key, os.urandom(size))
    for folder in ("first", "second"):
        with pytest.raises(SetupError, match="not what was pinned"):
            stage(rig, pinned, folder)
    assert [path for path in (rig.scratch / "content").rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [10, 5 * PART])
def test_an_object_without_a_sha256_is_known_by_its_entity_tag(rig: Rig, size: int) -> None:
    content = os.urandom(size)
    rig.objects.put("elsewhere/x", content)
    (entry,) = rig.objects.find("elsewhere/")
    file = InputFile(path="x", size=size, key="elsewhere/x", bucket=rig.objects.bucket, etag=entry.etag)
    pinned = PinnedInput(argument="data_url", source="s3", is_file=True, files=[file])
    assert stage(rig, pinned, "first").read_bytes() == content

    rig.objects.put("elsewhere/x", os.urandom(size))
    # What is kept on the host is still what was pinned; elsewhere the object is gone for good.
    assert stage(rig, pinned, "second").read_bytes() == content
    (rig.scratch / "content").rename(rig.scratch / "other")
    with pytest.raises(SetupError, match="not what was pinned"):
        stage(rig, pinned, "third")


def test_a_stop_ends_staging(rig: Rig) -> None:
    stop = Stop()
    stop.request()
    with pytest.raises(StopRequestedError):
        stage(rig, rig.put_input("data_url", {"x": b"1"}), "first", stop)
