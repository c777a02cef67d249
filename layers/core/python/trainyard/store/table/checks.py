"""Dry runs of validation.

| pk           | in `by_project`           | in `active`                | `expires`     |
|--------------|---------------------------|----------------------------|---------------|
| `CHECK#{id}` | `CHECK#{project}`, time   | `asked`, as a push         | after a day   |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from trainyard.model.check import Check
from trainyard.store.table.rows import Rows, asked_mark, indexed_item, seconds

CHECK_KEPT = timedelta(days=1)


class CheckRows(Rows):
    def check(self, check_id: str) -> Check | None:
        return self._get(f"CHECK#{check_id}", Check)

    def create_check(self, check: Check) -> None:
        self._create(check_item(check))


def check_item(check: Check) -> dict[str, Any]:
    at = check.requested_at
    item = indexed_item("check", f"CHECK#{check.id}", f"CHECK#{check.project}", at.isoformat(), check)
    return item | {"expires": seconds(at + CHECK_KEPT)} | asked_mark(check)
