"""One embedded stack for every test that drives it whole; each test makes repositories of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.stack import Stack

LAKE = "e2e-data-lake"
"""A bucket beside the platform's own; runs may use what lies under `digits/` in it."""


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Functions may do only what their roles allow; presigned addresses carry those roles' credentials."""
    lake = {"InputObjects": f"arn:aws:s3:::{LAKE}/digits/*", "InputBuckets": f"arn:aws:s3:::{LAKE}"}
    with Stack("e2e", keep=False, enforce_iam=True, parameters=lake) as running:
        yield running
