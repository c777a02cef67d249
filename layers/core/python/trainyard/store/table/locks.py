"""Locks of files: `LOCK#{repository}#{id}`, in `by_project` as `LOCK#{repository}`, path."""

from __future__ import annotations

from trainyard.model.repository import FileLock
from trainyard.store.table.cursors import Page
from trainyard.store.table.rows import BY_PROJECT, Rows, indexed_item


class LockRows(Rows):
    def lock(self, repository: str, lock_id: str) -> FileLock | None:
        return self._get(_lock_pk(repository, lock_id), FileLock)

    def create_lock(self, lock: FileLock) -> None:
        """AlreadyThereError if the file is locked."""
        self._create(
            indexed_item("lock", _lock_pk(lock.repository, lock.id), f"LOCK#{lock.repository}", lock.path, lock)
        )

    def locks_of(self, repository: str, limit: int = 100, cursor: str | None = None) -> Page[FileLock]:
        """A repository's locks by path."""
        return self._query(FileLock, BY_PROJECT, "project", f"LOCK#{repository}", limit, cursor, newest_first=False)

    def delete_lock(self, lock: FileLock) -> None:
        self._delete(_lock_pk(lock.repository, lock.id))


def _lock_pk(repository: str, lock_id: str) -> str:
    return f"LOCK#{repository}#{lock_id}"
