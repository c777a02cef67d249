from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.githost.little_stack import LittleStack, Person, emulated_aws, little_stack


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    with emulated_aws() as endpoint:
        yield endpoint


@pytest.fixture
def stack(aws: str, tmp_path: Path) -> Iterator[LittleStack]:
    with little_stack(tmp_path / "host", aws, f"t{uuid.uuid4().hex[:12]}") as running:
        yield running


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path / "home")
