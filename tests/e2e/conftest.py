"""One embedded stack for every test that drives it whole; each test makes repositories of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Functions may do only what their roles allow; presigned addresses carry those roles' credentials."""
    with Stack("e2e", keep=False, enforce_iam=True) as running:
        yield running
