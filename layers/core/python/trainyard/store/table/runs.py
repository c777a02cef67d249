"""Runs.

| pk         | in `by_project`           | in `active`                                                          |
|------------|---------------------------|----------------------------------------------------------------------|
| `RUN#{id}` | project, id: rises by time| `run` until it has ended, `ended` until it is settled, then not at all|

Settled: its log is indexed, its evaluation made and its host told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainyard.model.run import Run
from trainyard.store.table.cursors import Page
from trainyard.store.table.rows import BY_PROJECT, TRIES, Rows, TooManyConflictsError, indexed_item


class RunRows(Rows):
    def run(self, run_id: str) -> Run | None:
        return self._get(run_key(run_id), Run)

    def create_run(self, run: Run) -> None:
        """AlreadyThereError if a run has that id."""
        self._create(run_item(run))

    def change_run(self, run_id: str, change: Callable[[Run], Run], read: Run | None = None) -> Run | None:
        """Apply a pure function to the run and write the outcome, in one conditional write.

        Returns the run as it is afterwards, or None if there is none. Where `change` returns the run as it was, nothing
        is written. Where somebody else wrote meanwhile, `change` is applied to what they wrote. `read`: the run as the
        caller has just read it, which saves reading it again.
        """
        for _ in range(TRIES):
            run, read = read or self.run(run_id), None
            if run is None:
                return None
            changed = change(run)
            if changed is run:
                return run
            written = changed.model_copy(update={"version": run.version + 1})
            replace = {
                "TableName": self.name,
                "Item": run_item(written),
                "ConditionExpression": "version = :version",
                "ExpressionAttributeValues": {":version": {"N": str(run.version)}},
            }
            if self._put_if(replace):
                return written
        raise TooManyConflictsError(run_id)

    def delete_run(self, run_id: str) -> None:
        self._delete(run_key(run_id))

    def runs_of(self, project: str, limit: int = 50, cursor: str | None = None) -> Page[Run]:
        """A project's runs, newest first."""
        return self._query(Run, BY_PROJECT, "project", project, limit, cursor, newest_first=True)

    def deleted_runs_of(self, project: str, limit: int = 50, cursor: str | None = None) -> Page[Run]:
        """A project's deleted runs, which are kept for the record of what was paid for, newest first."""
        return self._query(Run, BY_PROJECT, "project", f"DELETED#{project}", limit, cursor, newest_first=True)

    def active_runs(self, limit: int = 1000, cursor: str | None = None) -> Page[Run]:
        """Runs that have not ended, oldest first."""
        return self._active(Run, "run", limit, cursor)

    def unsettled_runs(self, limit: int = 100, cursor: str | None = None) -> Page[Run]:
        """Runs that have ended and whose log or evaluation is still to come, oldest first."""
        return self._active(Run, "ended", limit, cursor)


def run_key(run_id: str) -> str:
    """The key of a run's row."""
    return f"RUN#{run_id}"


def run_item(run: Run) -> dict[str, Any]:
    # A deleted run keeps its row for the record of what was paid for, but no list shows it.
    project = deleted_project(run.project) if run.deleted_at else run.project
    item = indexed_item("run", run_key(run.id), project, run.id, run)
    item |= {"version": {"N": str(run.version)}, "state": {"S": run.state.value}}
    if not run.state.is_final:
        item["active"] = {"S": "run"}
    elif not run.is_settled:
        item["active"] = {"S": "ended"}
    return item


def deleted_project(project: str) -> str:
    """What a project's deleted runs are listed under."""
    return f"DELETED#{project}"
