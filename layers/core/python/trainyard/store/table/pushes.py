"""Pushes.

| pk          | in `by_project`            | in `active`                                                             |
|-------------|----------------------------|-------------------------------------------------------------------------|
| `PUSH#{id}` | `PUSH#{repository}`, time  | `asked` until it is answered, or was asked so often that nobody asks again|
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainyard.model.ref import Ref
from trainyard.model.repository import Push
from trainyard.model.run import Run
from trainyard.store.table.cursors import Page
from trainyard.store.table.refs import ref_item
from trainyard.store.table.rows import BY_PROJECT, Rows, asked_mark, creation, indexed_item, next_version
from trainyard.store.table.runs import run_item

# DynamoDB takes 100 actions in one transaction; one is the push itself.
MAX_RUNS_PER_PUSH = 99


class PushRows(Rows):
    def push(self, push_id: str) -> Push | None:
        return self._get(push_key(push_id), Push)

    def create_push(self, push: Push, ref: Ref) -> bool:
        """Write the push and `ref` as the push left it, together. False if another push to the ref was quicker."""
        return self._all_or_none([creation(self.name, push_item(push)), next_version(self.name, ref_item(ref))])

    def create_lost_push(self, push: Push) -> bool:
        """Write the row of a push that its ref remembers; False if it is there."""
        return self._put_if(creation(self.name, push_item(push))["Put"])

    def finish_push(self, push: Push, runs: Sequence[Run]) -> bool:
        """Write all runs of a push and mark it checked, together or not at all. False if that was done before."""
        if len(runs) > MAX_RUNS_PER_PUSH:
            raise ValueError(f"a push starts at most {MAX_RUNS_PER_PUSH} runs")
        unchecked = "attribute_exists(pk) AND attribute_not_exists(checked)"
        finished = {"Put": {"TableName": self.name, "Item": push_item(push), "ConditionExpression": unchecked}}
        return self._all_or_none([finished, *(creation(self.name, run_item(run)) for run in runs)])

    def delete_push(self, push_id: str) -> None:
        self._delete(push_key(push_id))

    def pushes_of(self, repository: str, limit: int = 50, cursor: str | None = None) -> Page[Push]:
        return self._query(Push, BY_PROJECT, "project", f"PUSH#{repository}", limit, cursor, newest_first=True)


def push_key(push_id: str) -> str:
    """The key of a push's row."""
    return f"PUSH#{push_id}"


def push_item(push: Push) -> dict[str, Any]:
    sort = f"{push.received_at.isoformat()}#{push.id}"
    item = indexed_item("push", push_key(push.id), f"PUSH#{push.repository}", sort, push)
    if push.checked_at:
        item["checked"] = {"S": push.checked_at.isoformat()}
    return item | asked_mark(push)
