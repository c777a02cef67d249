"""Inspections of what a repository stores, and removals of it.

| pk             | in `by_project`                | in `active`           | `expires`     |
|----------------|--------------------------------|-----------------------|---------------|
| `STORAGE#{id}` | `STORAGE#{repository}`, time   | `asked`, as a push    | after a day   |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from trainyard.model.storage import StorageTask
from trainyard.store.table.rows import Rows, asked_mark, indexed_item, seconds

INSPECTION_KEPT = timedelta(days=1)


class InspectionRows(Rows):
    def storage_task(self, task_id: str) -> StorageTask | None:
        return self._get(f"STORAGE#{task_id}", StorageTask)

    def create_storage_task(self, task: StorageTask) -> None:
        self._create(storage_task_item(task))


def storage_task_item(task: StorageTask) -> dict[str, Any]:
    at = task.requested_at
    item = indexed_item("storage", f"STORAGE#{task.id}", f"STORAGE#{task.repository}", at.isoformat(), task)
    return item | {"expires": seconds(at + INSPECTION_KEPT)} | asked_mark(task)
