"""Handlers as Lambda calls them: an event in, an answer out, state in between."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainyard.model.settings import settings
from trainyard.store import State
from trainyard.store import state as state_of_process

EVENTS = Path(__file__).parent / "events"


@pytest.fixture
def house(state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """State that a handler finds through its environment."""
    monkeypatch.setenv("TRAINYARD_TABLE", "trainyard")
    monkeypatch.setenv("TRAINYARD_BUCKET", "trainyard")
    monkeypatch.setenv("TRAINYARD_BUS", "trainyard")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    settings.cache_clear()
    state_of_process.cache_clear()
    yield state
    settings.cache_clear()
    state_of_process.cache_clear()


@pytest.fixture
def invoke(house: State) -> Callable[[str, Any], Any]:
    """`invoke("track_job", event)`; a string names a file of events/."""

    def call(function: str, event: Any) -> Any:
        if isinstance(event, str):
            event = json.loads((EVENTS / f"{event}.json").read_text())
        context = SimpleNamespace(
            function_name=function,
            memory_limit_in_mb=512,
            invoked_function_arn=f"arn:aws:lambda:us-east-1:000000000000:function:{function}",
            aws_request_id="request",
            get_remaining_time_in_millis=lambda: 30000,
        )
        return importlib.import_module(f"{function}.app").handler(event, context)

    return call
