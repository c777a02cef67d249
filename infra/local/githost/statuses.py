"""Commit statuses as GitHub takes and lists them: https://docs.github.com/en/rest/commits/statuses"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from trainyard.model.errors import InvalidInput
from trainyard.model.repository import Repository
from trainyard.model.text import Text

MAX_PER_CONTEXT = 1000
"""GitHub's own limit per commit and context."""


class NewStatus(BaseModel):
    state: Literal["error", "failure", "pending", "success"]
    target_url: Annotated[str, Field(max_length=2000)] | None = None
    description: Annotated[str, Field(max_length=140)] | None = None
    context: Annotated[str, Field(min_length=1, max_length=255)] = "default"


class Statuses:
    """One file of JSON lines per repository, oldest first. Thread-safe within this process."""

    def __init__(self, root: Path) -> None:
        self._root = root / "statuses"
        self._lock = threading.Lock()

    def add(self, repository: Repository, sha: str, user: str, new: NewStatus) -> dict[str, Any]:
        """InvalidInput once a commit has too many of one context, as on GitHub."""
        now = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
        path = self._path(repository)
        with self._lock:
            earlier = self._read(path)
            same = [entry for entry in earlier if entry["sha"] == sha and entry["context"] == new.context]
            if len(same) >= MAX_PER_CONTEXT:
                raise InvalidInput(
                    Text(
                        en="This SHA and context has reached the maximum number of statuses.",
                        zh="该提交与 context 的状态数量已达上限。",
                    )
                )
            status = {
                "id": len(earlier) + 1,
                "url": f"{repository.api_url}/repos/{repository.full_name}/statuses/{sha}",
                **new.model_dump(),
                "creator": {"login": user},
                "created_at": now,
                "updated_at": now,
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(json.dumps({"sha": sha, **status}, ensure_ascii=False) + "\n")
        return status

    def of(self, repository: Repository, sha: str) -> list[dict[str, Any]]:
        """Newest first, as GitHub lists them."""
        with self._lock:
            entries = self._read(self._path(repository))
        return [{**entry} for entry in reversed(entries) if entry.pop("sha") == sha]

    def _path(self, repository: Repository) -> Path:
        return self._root / f"{repository.full_name}.jsonl"

    @staticmethod
    def _read(path: Path) -> list[dict[str, Any]]:
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]
