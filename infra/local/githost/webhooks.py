"""Signed webhooks in GitHub's own shape: written down first, then delivered, a few times if need be.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.local.githost.git import Git
from trainyard.model.repository import Repository
from trainyard.store.secrets import Secrets, webhook_secret_name

PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before the second and every later try."""
REQUEST_SECONDS = 10.0
"""GitHub gives up after as long."""
_NO_COMMIT = "0" * 40
_MAX_COMMITS = 20
_WORTH_ANOTHER_TRY = (408, 425, 429)


class Webhooks:
    """Everything that is to be told, one file each in `root/outbox` until it is told or given up."""

    def __init__(self, root: Path, api_url: str, secrets_store: Secrets) -> None:
        self._outbox = root / "outbox"
        self._outbox.mkdir(parents=True, exist_ok=True)
        self._log = root / "deliveries.jsonl"
        self._api_url = api_url.rstrip("/")
        self._secrets = secrets_store
        self._stopping = threading.Event()
        self._writing = threading.Lock()
        self._senders = ThreadPoolExecutor(4, thread_name_prefix="webhook")

    def start(self) -> None:
        """Take up what an earlier process could not deliver."""
        for path in sorted(self._outbox.glob("*.json")):
            self._senders.submit(self._deliver, path)

    def stop(self) -> None:
        """Leave what is not delivered for the next start."""
        self._stopping.set()
        self._senders.shutdown(cancel_futures=True)

    def send(self, repository: str, event: str, payload: dict[str, Any]) -> str:
        """Queue one event; returns the delivery's id."""
        delivery = str(uuid.uuid4())
        # The time in front keeps the order over a restart.
        path = self._outbox / f"{time.time_ns()}-{delivery}.json"
        message = {"delivery": delivery, "repository": repository, "event": event, "payload": payload}
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(message))
        unfinished.rename(path)
        self._senders.submit(self._deliver, path)
        return delivery

    def _deliver(self, path: Path) -> None:
        message = json.loads(path.read_text())
        for number, pause in enumerate((*PAUSES_SECONDS, None), start=1):
            outcome = self._post(message)
            self._note(message, number, outcome)
            if pause is None or not _is_worth_another_try(outcome):
                break
            if self._stopping.wait(pause):
                return
        path.unlink(missing_ok=True)

    def _post(self, message: dict[str, Any]) -> int | str:
        """The answer's status, or why there was none."""
        repository = message["repository"]
        secret = self._secrets.get(webhook_secret_name(repository))
        body = json.dumps(message["payload"], ensure_ascii=False).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is this stack's own
            f"{self._api_url}/hooks/github/{repository}",
            data=body,
            headers={
                "Content-Type": "application/json",
                "User-Agent": "GitHub-Hookshot/trainyard",
                "X-GitHub-Event": message["event"],
                "X-GitHub-Delivery": message["delivery"],
                "X-GitHub-Hook-ID": "1",
                "X-Hub-Signature-256": "sha256=" + hmac.new((secret or "").encode(), body, hashlib.sha256).hexdigest(),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError as error:
            return str(error)

    def _note(self, message: dict[str, Any], number: int, outcome: int | str) -> None:
        entry = {
            "at": datetime.now(UTC).isoformat(),
            "delivery": message["delivery"],
            "repository": message["repository"],
            "event": message["event"],
            "ref": message["payload"].get("ref"),
            "try": number,
            "outcome": outcome,
        }
        with self._writing, self._log.open("a") as log:
            log.write(json.dumps(entry) + "\n")


def ping_payload(repository: Repository) -> dict[str, Any]:
    return {
        "zen": "Keep it logically awesome.",
        "hook_id": 1,
        "hook": {"type": "Repository", "id": 1, "name": "web", "active": True, "events": ["push"]},
        "repository": _repository(repository),
        "sender": {"login": repository.owner},
    }


def push_payload(
    git: Git, path: Path, repository: Repository, user: str, ref: str, before: str, after: str
) -> dict[str, Any]:
    """What GitHub says about one ref that was moved. `before` or `after` is all zeros for a new or deleted ref."""
    created, deleted = not before.strip("0"), not after.strip("0")
    commits = [] if deleted else _commits(git, path, None if created else before, after)
    head = None if deleted else next(iter(_commits(git, path, None, after, limit=1)), None)
    forced = not (created or deleted) and git.run(path, "merge-base", "--is-ancestor", before, after).returncode != 0
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "created": created,
        "deleted": deleted,
        "forced": forced,
        "base_ref": None,
        "compare": f"{repository.clone_url.removesuffix('.git')}/compare/{before[:12]}...{after[:12]}",
        "commits": commits,
        "head_commit": head,
        "repository": _repository(repository),
        "pusher": {"name": user},
        "sender": {"login": user},
    }


def _repository(repository: Repository) -> dict[str, Any]:
    owner, name = repository.full_name.split("/")
    return {
        "name": name,
        "full_name": repository.full_name,
        "private": repository.visibility.value == "private",
        "owner": {"name": owner, "login": owner},
        "html_url": repository.clone_url.removesuffix(".git"),
        "clone_url": repository.clone_url,
        "default_branch": repository.default_branch,
        "master_branch": repository.default_branch,
    }


def _commits(git: Git, path: Path, before: str | None, after: str, limit: int = _MAX_COMMITS) -> list[dict[str, Any]]:
    """The newest `limit` commits, oldest first; none for a tag of something that is no commit."""
    span = [after, f"^{before}"] if before else [after]
    form = "%H%x00%T%x00%cI%x00%an%x00%ae%x00%B"
    listed = git.run(path, "log", "-z", f"--max-count={limit}", f"--format=tformat:{form}", *span, "--")
    fields = listed.stdout.decode(errors="replace").split("\0")
    return [
        {
            "id": fields[place],
            "tree_id": fields[place + 1],
            "distinct": True,
            "message": fields[place + 5].strip(),
            "timestamp": fields[place + 2],
            "author": {"name": fields[place + 3], "email": fields[place + 4]},
        }
        for place in range(0, len(fields) - 6, 6)
    ][::-1]


def _is_worth_another_try(outcome: int | str) -> bool:
    return isinstance(outcome, str) or outcome >= 500 or outcome in _WORTH_ANOTHER_TRY
