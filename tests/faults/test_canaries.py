"""Secrets on the whole way of a run: none is in a row, an object, an event, a message, a status or a log line."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faults.way import PROJECT, SECRET, TOKEN, Scene, asked, furnished, scenes
from faults.world import Step, World
from registry_fake import FakeRegistry, basic, layer, registry_fake

from trainyard.model.check import Check
from trainyard.model.settings import settings
from trainyard.model.spec import RunSpec

PASSWORD = "p4ss of:theirs"
"""What the project keeps for a registry."""
NOTIFICATION = "c2VjcmV0"
"""What `furnish` keeps behind `whsec_`."""


def test_no_secret_is_left_on_the_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # as deployed
    with furnished(tmp_path) as (made, token), private_registry(made) as registry:
        messages = go(made, token, registry)
        assert basic("robot", PASSWORD) in str(registry.received), "the registry was not shown the password"
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
        secrets |= {"registry": PASSWORD, "registry's header": basic("robot", PASSWORD).partition(" ")[2]}
        secrets |= {f"job {number}": one for number, one in enumerate(tokens)}
        assert all(places.values()), "nothing was looked through"
        found = [
            (place, name)
            for place, texts in places.items()
            for name, secret in secrets.items()
            if any(secret in text for text in texts)
        ]
    assert found == []


@contextmanager
def private_registry(made: World) -> Iterator[FakeRegistry]:
    """One that the project keeps a login for."""
    with registry_fake() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_ALLOWED_IMAGE_REGISTRIES", fake.host)
        settings.cache_clear()
        fake.push("team/secret", "v1", [layer({"usr/bin/python3": b"an interpreter"})])
        fake.private.add("team/secret")
        fake.login = ("robot", PASSWORD)
        yield fake


def on_images(token: str, registry: FakeRegistry) -> list[Scene]:
    """A login is kept, a check asks for a private image, and a run for one that it opens no more."""
    image = {"boot_file": "train.py", "image": f"{registry.host}/team/secret:v1", "flavor": "cpu"}

    def keep(_: World) -> Step:
        login = {"username": "robot", "password": PASSWORD}
        return asked(token, "PUT", f"/v1/projects/{PROJECT}/registries/{registry.host}", login)

    def check(made: World) -> None:
        spec = RunSpec.model_validate(image)
        at = datetime.now(UTC)
        made.state.table.create_check(
            Check(id="on-image", project=PROJECT, requested_by="demo", spec=spec, requested_at=at)
        )
        made.drain()

    def refused(_: World) -> Step:
        registry.login = ("robot", "another")
        return asked(token, "POST", f"/v1/projects/{PROJECT}/runs", {"name": "on-image", "spec": image})

    return [keep, check, refused]


def go(made: World, token: str, registry: FakeRegistry) -> list[str]:
    """The way to its end; everything that was sent to a function by a queue or the stream."""
    seen: list[str] = []
    *before, journal = scenes(token)
    for scene in (*before, *on_images(token, registry), journal):
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
