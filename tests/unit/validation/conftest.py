from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.validation.git_rig import GitServer

from trainyard.model.settings import settings


@pytest.fixture
def git_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    """A git host on loopback, which the settings allow."""
    monkeypatch.setenv("TRAINYARD_ALLOW_LOOPBACK_HTTP", "true")
    settings.cache_clear()
    with GitServer(tmp_path / "git") as server:
        yield server
    settings.cache_clear()
