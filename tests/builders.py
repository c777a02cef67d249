"""Runs and repositories for tests, with only what a test cares about said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trainyard.model.ref import Move, Ref
from trainyard.model.repository import Push, Repository, RepositoryKind
from trainyard.model.run import Origin, Run, RunState
from trainyard.model.spec import RunSpec

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COMMIT = "a" * 40


def a_spec(**changes: Any) -> RunSpec:
    return RunSpec.model_validate({"boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu", **changes})


def a_run(run_id: str = "run-1", **changes: Any) -> Run:
    values: dict[str, Any] = {
        "id": run_id,
        "name": "lenet5",
        "project": "demo/lenet5",
        "origin": Origin.PUSH,
        "requested_by": "demo",
        "created_at": NOW,
        "updated_at": NOW,
        "commit": COMMIT,
        "spec": a_spec(),
        "state": RunState.REQUESTED,
    }
    return Run.model_validate({**values, **changes})


def a_push(push_id: str = "push-1", **changes: Any) -> Push:
    values: dict[str, Any] = {
        "id": push_id,
        "repository": "demo/lenet5",
        "ref": "refs/heads/main",
        "commit": COMMIT,
        "received_at": NOW,
    }
    return Push.model_validate({**values, **changes})


def a_ref(push: Push, known: Ref | None = None) -> Ref:
    """The push's ref as the push left it; without `known` it is the ref's first."""
    move = Move(push=push.id, before=push.before, commit=push.commit, delivery=push.delivery)
    return (known or Ref(repository=push.repository, name=push.ref)).moved(move)


def a_repository(full_name: str = "demo/lenet5", **changes: Any) -> Repository:
    values: dict[str, Any] = {
        "full_name": full_name,
        "kind": RepositoryKind.PROJECT,
        "host": "github",
        "clone_url": f"https://git.example.com/{full_name}.git",
        "owner": full_name.partition("/")[0],
        "created_at": NOW,
    }
    return Repository.model_validate({**values, **changes})
