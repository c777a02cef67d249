"""A reader of a stream that asks for all of some seconds together is called once for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ministack.services import lambda_svc

from infra.local.emulator.batching_window import keep_batching_windows

MAPPINGS = [
    ("0", "us-east-1", {"UUID": "at-once", "MaximumBatchingWindowInSeconds": 0}),
    ("0", "us-east-1", {"UUID": "together", "MaximumBatchingWindowInSeconds": 10}),
]


def test_each_rests_for_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    polled: list[list[str]] = []
    now = 100.0

    def mappings() -> Iterator[tuple[str, str, dict[str, Any]]]:
        yield from MAPPINGS

    def poll() -> bool:
        polled.append([mapping["UUID"] for _, _, mapping in lambda_svc._iter_all_esms()])
        return True

    monkeypatch.setattr(lambda_svc, "_iter_all_esms", mappings)
    monkeypatch.setattr(lambda_svc, "_poll_dynamodb_streams", poll)
    keep_batching_windows(lambda: now)
    for seconds in (0, 5, 10, 15, 20, 21):
        now = 100.0 + seconds
        assert lambda_svc._poll_dynamodb_streams() is True
    alone, both = ["at-once"], ["at-once", "together"]
    assert polled == [alone, alone, both, alone, both, alone]
    assert lambda_svc._iter_all_esms is mappings
