"""Secrets on the whole way of a run: none is in a row, an object, an event, a message, a status or a log line."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from faults.way import SECRET, TOKEN, furnished, scenes
from faults.world import Step, World

NOTIFICATION = "c2VjcmV0"
"""What `furnish` keeps behind `whsec_`."""


def test_no_secret_is_left_on_the_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # as deployed
    with furnished(tmp_path) as (made, token):
        messages = go(made, token)
        jobs = [json.dumps(job.detail) for job in made.batch._state.jobs.values()]
        tokens = {one for job in jobs for one in job_tokens(job)}
        assert len(tokens) == len(jobs) == 2
        told = [json.dumps([one.path, one.payload]) for one in made.host.received]
        places = {
            "rows": [json.dumps(made.rows())],
            "objects": [unpacked(key, body) for key, (body, _) in made.objects().items()],
            "messages": messages,
            "what others were told": told,
            "log": ["", caplog.text, *(str(record.__dict__) for record in caplog.records)],
        }
        secrets = {"webhook": SECRET, "host": TOKEN, "user": token, "notification": NOTIFICATION}
        secrets |= {f"job {number}": one for number, one in enumerate(tokens)}
        assert all(places.values()), "nothing was looked through"
        found = [
            (place, name)
            for place, texts in places.items()
            for name, secret in secrets.items()
            if any(secret in text for text in texts)
        ]
    assert found == []


def go(made: World, token: str) -> list[str]:
    """The way to its end; everything that was sent to a function by a queue or the stream."""
    seen: list[str] = []
    for scene in scenes(token):
        step = scene(made)
        made.pending.extend([step] if step else [])
        while made.pending:
            step = made.pending.popleft()
            # AWS Batch repeats a job's environment in its events; SECURITY.md says what that means.
            is_ours = step.event.get("source") != "aws.batch"
            if is_ours and (step.is_message or step.function == "publish_changes"):
                seen.append(_text(step))
            made.through(step)
    return seen


def _text(step: Step) -> str:
    return json.dumps(step.event, default=str)


def job_tokens(job: str) -> list[str]:
    environment: Any = json.loads(job)["container"]["environment"]
    return [one["value"] for one in environment if one["name"] == "TRAINYARD_JOB_TOKEN"][:1]


def unpacked(key: str, body: bytes) -> str:
    data = gzip.decompress(body) if key.endswith((".gz", ".jsonl.gz")) else body
    return key + data.decode("latin-1")
