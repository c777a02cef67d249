"""`trainyard storage`: what a person sees of it, and what it removes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from builders import a_repository
from unit.cli.conftest import Call

from trainyard.cli.commands import storage
from trainyard.model.repository import RepositoryKind
from trainyard.model.storage import StorageReport, StoredFile, UnfinishedUpload
from trainyard.model.text import Text
from trainyard.store import State, layout

NAME = "ada/digits"
OLD = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def key(state: State) -> str:
    state.table.create_repository(a_repository(NAME, kind=RepositoryKind.DATASET, owner="ada"))
    return layout.content_key(NAME, "a" * 64)


def begin_upload(state: State, key: str) -> str:
    return str(boto3.client("s3").create_multipart_upload(Bucket=state.objects.bucket, Key=key)["UploadId"])


def keep_report(state: State, at: datetime, **found: Any) -> StorageReport:
    report = StorageReport(
        repository=NAME, at=at, files=2, bytes=3_000_000, recent=0, reason=Text(en="none", zh="无"), **found
    )
    state.objects.put(layout.storage_report_key(NAME), report.model_dump_json().encode())
    return report


def unfinished(upload: str, key: str) -> UnfinishedUpload:
    return UnfinishedUpload(upload=upload, key=key, size=12_000_000, begun=OLD, touched=OLD)


@pytest.mark.usefixtures("terminal")
def test_what_the_report_shows_is_a_table(
    call: Call, state: State, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("storage", "show", NAME) == 1
    assert f"trainyard storage inspect {NAME}" in capsys.readouterr().err
    file = StoredFile(key=key, size=2_000_000, modified=OLD)
    keep_report(
        state, datetime.now(UTC), unreferenced=[file], unfinished_uploads=[unfinished("u-1", key)], uploads_under_way=3
    )
    assert call("storage", "show", NAME) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["uploads", "under", "way"] and line.split()[-1] == "3" for line in lines)
    assert any("file" in line and key in line and "2.0 MB" in line for line in lines)
    assert any("upload" in line and "u-1" in line and "12.0 MB" in line for line in lines)


def test_uploads_are_removed_by_name_or_all(
    call: Call, state: State, key: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_POLL_SECONDS", 0)
    monkeypatch.setattr(storage, "_REPORT_SECONDS", 0)  # nobody looks here
    uploads = [begin_upload(state, key) for _ in range(3)]
    keep_report(
        state, datetime.now(UTC) - timedelta(hours=2), unfinished_uploads=[unfinished(each, key) for each in uploads]
    )
    assert call("storage", "remove", NAME) == 1, "nothing is named"
    capsys.readouterr()
    assert call("storage", "remove", NAME, "--upload", "unknown") == 1
    assert len(list(state.objects.uploads(key))) == 3
    call("storage", "remove", NAME, "--upload", uploads[0])
    assert {each.id for each in state.objects.uploads(key)} == set(uploads[1:])
    call("storage", "remove", NAME, "--all")
    assert list(state.objects.uploads(key)) == []
    assert "is not there yet" in capsys.readouterr().err
    keep_report(state, datetime.now(UTC) - timedelta(hours=2))
    assert call("storage", "remove", NAME, "--all") == 0
    assert "nothing that could go" in capsys.readouterr().err


def test_the_report_that_answers_is_waited_for(
    call: Call, state: State, key: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_report(state, datetime.now(UTC) - timedelta(hours=2))
    waits = []

    def look(seconds: float) -> None:
        waits.append(seconds)
        keep_report(state, datetime.now(UTC), uploads_under_way=1)

    monkeypatch.setattr(storage.time, "sleep", look)
    assert call("storage", "inspect", NAME) == 0
    assert json.loads(capsys.readouterr().out)["uploads_under_way"] == 1
    assert len(waits) == 1
