"""Events are a promise to others' rules: each has a schema and a sample, and what we send is like both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import a_run
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from unit.web.conftest import Send

from trainyard.model.events import run_event
from trainyard.model.notification import ANNOUNCED

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "events"


def checker(send: Send, name: str) -> Draft202012Validator:
    schema = send("GET", f"/v1/events/{name}", token=None).json
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


@pytest.mark.parametrize("name", ANNOUNCED)
def test_the_sample_and_what_is_sent_are_like_the_schema(send: Send, name: str) -> None:
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    checker(send, name).validate(sample)
    sent = json.loads(run_event(a_run()).model_dump_json())
    checker(send, name).validate({**sample, "detail": sent})
    for wrong in ({"detail-type": "other"}, {"source": "other"}, {"detail": {**sample["detail"], "state": "odd"}}):
        with pytest.raises(ValidationError):
            checker(send, name).validate({**sample, **wrong})


def test_every_event_is_listed(send: Send) -> None:
    listed: Any = send("GET", "/v1/events", token=None).json["events"]
    assert {one["name"] for one in listed} == {path.stem for path in SAMPLES.iterdir()} == set(ANNOUNCED)
    assert all(send("GET", one["schema"].removeprefix("https://api.example")).status == 200 for one in listed)
    assert send("GET", "/v1/events/push.received").status == 404
