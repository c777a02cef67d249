"""One way through everything: a push that trains and is judged, a run that is asked for and stopped, files of Git LFS."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import a_repository
from faults.world import Step, World, world
from unit.web.conftest import event as http_event

from trainyard.model.check import Check
from trainyard.model.event_name import EventName
from trainyard.model.notification import Channel, Notification
from trainyard.model.repository import RepositoryKind, Scope
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.run import Run
from trainyard.model.spec import RunSpec
from trainyard.model.storage import StorageTask
from trainyard.store import layout
from trainyard.store.access import issue_token
from trainyard.store.secrets import host_token_name, notification_secret_name, webhook_secret_name

PROJECT = "demo/lenet5"
SECRET = "a webhook's secret"
TOKEN = "host-token"
CHECK, TASK = "check-1", "inspection-1"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LOG = "epoch: 1 step: 44, loss is 0.9\nepoch: 2 step: 44, loss is 0.1\n"
FILES = {
    "trainyard.yaml": (
        "runs:\n  lenet5:\n    on: {push: {branches: [main]}}\n    boot_file: train.py\n    framework: python-cpu\n"
        '    flavor: cpu\n    evaluation: {require: {loss: "< 0.5"}}\n'
    ),
    "train.py": "print('loss is 0.1')\n",
}
_SPEC = {"boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu"}

Scene = Callable[[World], Step | None]
"""Something that happens outside when all else has come to rest; a call of a function, where it is one."""


def furnish(world: World) -> str:
    """A project with a git host, a webhook, a place for notifications and a user's token, which is returned."""
    repository = a_repository(
        PROJECT,
        clone_url=world.git.url(PROJECT),
        api_url=world.host.url,
        notifications=[
            Notification(
                id="n1", channel=Channel.WEBHOOK, target=world.host.url + "/heard", created_by="demo", created_at=NOW,
                events=[EventName.RUN_FINISHED, EventName.RUN_EVALUATED],
            )
        ],
    )  # fmt: skip
    world.state.table.create_repository(repository)
    world.state.table.create_repository(a_repository("demo/files", kind=RepositoryKind.DATASET))
    world.state.secrets.put(webhook_secret_name(PROJECT), SECRET)
    world.state.secrets.put(host_token_name(PROJECT), TOKEN)
    world.state.secrets.put(notification_secret_name(PROJECT, "n1"), "whsec_c2VjcmV0")
    world.commit = world.git.repository(PROJECT).commit(FILES)
    token, _ = issue_token(world.state.table, "demo", [Scope.WRITE])
    return token


@contextmanager
def furnished(folder: Path) -> Iterator[tuple[World, str]]:
    """A furnished world at rest, in which nobody waits between two tries; and the token."""
    with pytest.MonkeyPatch.context() as patch, world(folder) as made:
        patch.setattr("time.sleep", lambda _: None)
        token = furnish(made)
        made.drain()
        made.pending.clear()
        yield made, token


def scenes(token: str) -> list[Scene]:
    """What happens, in order."""
    return [
        _push,
        lambda world: world.job("STARTING"),
        lambda world: world.job("RUNNING"),
        _train,
        lambda _: asked(token, "POST", f"/v1/projects/{PROJECT}/runs", _request()),
        lambda world: asked(token, "POST", f"/v1/runs/{_newest(world).id}/stop", None),
        lambda world: world.job("FAILED"),
        lambda _: _lfs(token),
        check,
        inspection,
        lambda _: Step("sweep", {}),
        World.journal,
    ]


def check(world: World) -> None:
    """A form asks what validation would say, before anything is submitted."""
    spec = RunSpec.model_validate(_SPEC)
    world.state.table.create_check(
        Check(id=CHECK, project=PROJECT, requested_by="demo", spec=spec, requested_at=datetime.now(UTC))
    )
    world.drain()


def inspection(world: World) -> None:
    """An owner asks what of the project's files nothing refers to."""
    task = StorageTask(id=TASK, repository=PROJECT, requested_by="demo", requested_at=datetime.now(UTC))
    world.state.table.create_storage_task(task)
    world.drain()


def _push(world: World) -> Step:
    body = json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": world.commit, "pusher": {"name": "demo"}})
    signature = "sha256=" + hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": signature, "X-GitHub-Delivery": "delivery-1"}
    return Step("receive_push", http_event("POST", f"/hooks/github/{PROJECT}", body, **headers))


def _train(world: World) -> None:
    """What the runner leaves, and then the end of its job."""
    run = _newest(world)
    objects = world.state.objects
    objects.put(layout.log_chunk_key(run.id, 1, 0), gzip.compress(LOG.encode(), mtime=0))
    objects.put(layout.output_prefix(run.id) + "model.ckpt", b"weights")
    result = AttemptResult(run_id=run.id, attempt=1, ending=Ending.SUCCEEDED, exit_code=0, finished_at=NOW)
    objects.put(layout.result_key(run.id, 1), result.model_dump_json().encode())
    world.job("SUCCEEDED", exit_code=0)


def _newest(world: World) -> Run:
    return world.state.table.runs_of(PROJECT, limit=1).rows[0]


def _request() -> dict[str, Any]:
    return {"name": "again", "spec": _SPEC, "idempotency_key": "once"}


def asked(token: str, method: str, path: str, body: Any) -> Step:
    return Step("api", http_event(method, path, body, authorization=f"Bearer {token}"))


def _lfs(token: str) -> Step:
    wanted = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "c" * 64, "size": 7}]}
    headers = {"authorization": f"Bearer {token}", "content-type": "application/vnd.git-lfs+json"}
    return Step("serve_lfs", http_event("POST", "/demo/files.git/info/lfs/objects/batch", wanted, **headers))
