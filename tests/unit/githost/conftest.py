from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.githost.little_stack import LittleStack, Person, little_stack

from infra.local.emulator.client import Emulator


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator.endpoint


@pytest.fixture
def stack(aws: str, tmp_path: Path) -> Iterator[LittleStack]:
    with little_stack(tmp_path / "host", aws, f"t{uuid.uuid4().hex[:12]}") as running:
        yield running


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path / "home")
