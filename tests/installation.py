"""What an installation is told, for the length of a test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from trainyard.model.settings import settings


@contextmanager
def installation(**told: object) -> Iterator[None]:
    """Settings by their names; what is not named is as it was."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in told.items():
            spelled = value if isinstance(value, str) else json.dumps(value)
            patched.setenv(f"TRAINYARD_{name.upper()}", spelled)
        settings.cache_clear()
        try:
            yield
        finally:
            patched.undo()
            settings.cache_clear()
