"""Branches and tags with their last pushes: `REF#{repository}#{name}`, in `by_project` as `REF#{repository}`, name."""

from __future__ import annotations

from typing import Any

from trainyard.model.ref import Ref
from trainyard.store.table.cursors import Page
from trainyard.store.table.rows import BY_PROJECT, Rows, indexed_item, next_version


class RefRows(Rows):
    def ref(self, repository: str, name: str) -> Ref | None:
        return self._get(_ref_pk(repository, name), Ref)

    def put_ref(self, ref: Ref) -> bool:
        """Write the next version of a ref to which nobody pushed; False if somebody else was quicker."""
        return self._put_if(next_version(self.name, ref_item(ref))["Put"])

    def refs_of(self, repository: str, limit: int = 50, cursor: str | None = None) -> Page[Ref]:
        """The refs of a repository to which somebody pushed, by name."""
        return self._query(Ref, BY_PROJECT, "project", f"REF#{repository}", limit, cursor, newest_first=False)

    def delete_ref(self, repository: str, name: str) -> None:
        self._delete(_ref_pk(repository, name))


def _ref_pk(repository: str, name: str) -> str:
    return f"REF#{repository}#{name}"


def ref_item(ref: Ref) -> dict[str, Any]:
    item = indexed_item("ref", _ref_pk(ref.repository, ref.name), f"REF#{ref.repository}", ref.name, ref)
    return item | {"version": {"N": str(ref.version + ref.claims)}}
