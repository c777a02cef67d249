"""Repositories, and the lists in which each stands besides its owner's.

| row        | pk                      | in `by_project` (project, sort)   | in `active`              |
|------------|-------------------------|-----------------------------------|--------------------------|
| repository | `REPOSITORY#{name}`     | `REPOSITORY#{owner}`, name        | `project` if it is one   |
| listed     | `LISTED#{place}#{name}` | `SHARED#{user}` or `PUBLIC`, name |                          |

The `listed` rows, one for each member and one if it is public, are written with the repository in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trainyard.model.repository import Listed, Repository, RepositoryKind
from trainyard.store.places import MAX_CHANGES, PUBLIC, listed_at, places_of, shared_with, within_one_transaction
from trainyard.store.table.cursors import Page, write_cursor
from trainyard.store.table.rows import (
    BY_PROJECT,
    NOT_MET,
    TRIES,
    AlreadyThereError,
    Rows,
    TooManyConflictsError,
    creation,
    indexed_item,
    key,
)


class RepositoryRows(Rows):
    def repository(self, full_name: str) -> Repository | None:
        """None also for one that is being removed: nobody may see it any more."""
        known = self.repository_row(full_name)
        return None if known is None or known.removed_at is not None else known

    def repository_row(self, full_name: str) -> Repository | None:
        """The row whether the repository is being removed or not: for the removal itself."""
        return self._get(f"REPOSITORY#{full_name}", Repository)

    def repositories(self, full_names: Sequence[str]) -> list[Repository]:
        """Those of these names that are there, in their order."""
        rows = self._items([f"REPOSITORY#{name}" for name in full_names])
        items = [rows[pk] for name in full_names if (pk := f"REPOSITORY#{name}") in rows]
        found = [Repository.model_validate_json(item["document"]["S"]) for item in items]
        return [repository for repository in found if repository.removed_at is None]

    def create_repository(self, repository: Repository) -> None:
        """AlreadyThereError if one has that name. ValueError for more members than one transaction lists."""
        item, places = _repository_item(repository), places_of(repository)
        if len(places) > MAX_CHANGES:
            raise ValueError(f"a repository stands in at most {MAX_CHANGES} lists")
        if not places:
            self._create(item)
        elif not self._all_or_none([creation(self.name, item), *self._moves(repository, places, set())]):
            raise AlreadyThereError(item["pk"]["S"])

    def change_repository(self, full_name: str, change: Callable[[Repository], Repository]) -> Repository | None:
        """Apply a pure function to the repository in one conditional write, as `change_run` does to a run.

        What lists it stands in changes with it, at once. Where that is more than one transaction takes, as when all
        members are exchanged, some of it goes first, and `change` is applied to what came of that.
        """
        for _ in range(TRIES):
            item = self._item(f"REPOSITORY#{full_name}")
            if item is None:
                return None
            known = Repository.model_validate_json(item["document"]["S"])
            wanted = change(known)
            if wanted == known:
                return known
            step = within_one_transaction(known, wanted)
            if self._replace_repository(known, step, item["document"]) and step == wanted:
                return wanted
        raise TooManyConflictsError(full_name)

    def delete_repository(self, full_name: str) -> None:
        """One that is marked as removed: that took it out of every list."""
        self._delete(f"REPOSITORY#{full_name}")

    def repositories_of(self, owner: str, limit: int = 50, cursor: str | None = None) -> Page[Repository]:
        return self._query(Repository, BY_PROJECT, "project", f"REPOSITORY#{owner}", limit, cursor, newest_first=False)

    def shared_with(self, user: str, limit: int = 50, cursor: str | None = None) -> Page[Listed]:
        """The repositories that a user is a member of, by name."""
        return self._listed(shared_with(user), limit, cursor)

    def public_repositories(self, limit: int = 50, cursor: str | None = None) -> Page[Listed]:
        """By name."""
        return self._listed(PUBLIC, limit, cursor)

    def list_unlisted(self) -> int:
        """Enter every repository where it should be listed and is not; returns how many entries that were.

        Rows of before there were lists come into them only when they change. Reads the whole table. What changes
        meanwhile lists itself.
        """
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.name,
            FilterExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": "repository"}},
            ConsistentRead=True,
        )
        return sum(self._list_unlisted(item) for page in pages for item in page["Items"])

    def projects(self, limit: int, cursor: str | None = None) -> Page[Repository]:
        """All projects by name."""
        return self._active(Repository, "project", limit, cursor)

    def _replace_repository(self, known: Repository, wanted: Repository, document: Any) -> bool:
        """False if somebody else wrote meanwhile. `document` is `known` as it is stored."""
        replace = {
            "TableName": self.name,
            "Item": _repository_item(wanted),
            # The document is small and has no version of its own: it is compared as a whole.
            "ConditionExpression": "document = :known",
            "ExpressionAttributeValues": {":known": document},
        }
        before, after = places_of(known), places_of(wanted)
        # A transaction costs twice as much, also where it is of one row.
        if before == after:
            return self._put_if(replace)
        actions = [{"Put": replace}, *self._moves(wanted, after - before, before - after)]
        # Two that write the same row at the same moment: neither may have come through.
        return self._all_or_none(actions, NOT_MET | {"TransactionConflict"})

    def _list_unlisted(self, item: Any) -> int:
        repository = Repository.model_validate_json(item["document"]["S"])
        name = repository.full_name
        places = {place for place in places_of(repository) if self._item(_listed_pk(place, name)) is None}
        if not places:
            return 0
        unchanged = {
            "TableName": self.name,
            "Key": {"pk": item["pk"]},
            "ConditionExpression": "document = :known",
            "ExpressionAttributeValues": {":known": item["document"]},
        }
        entered = self._all_or_none([{"ConditionCheck": unchanged}, *self._moves(repository, places, set())])
        return len(places) if entered else 0

    def _moves(self, repository: Repository, joined: set[str], left: set[str]) -> list[dict[str, Any]]:
        """A transaction's actions: where the repository is listed from now on, and where no more."""
        added = [_listed_item(listed_at(repository, place)) for place in sorted(joined)]
        gone = [key(_listed_pk(place, repository.full_name)) for place in sorted(left)]
        return [
            *({"Put": {"TableName": self.name, "Item": item}} for item in added),
            *({"Delete": {"TableName": self.name, "Key": each}} for each in gone),
        ]

    def _listed(self, place: str, limit: int, cursor: str | None) -> Page[Listed]:
        return self._query(Listed, BY_PROJECT, "project", place, limit, cursor, newest_first=False)


def cursor_behind(listed: Listed) -> str:
    """The cursor that goes on behind this one, in the list that it came from."""
    item = _listed_item(listed)
    return write_cursor({name: item[name] for name in ("pk", "project", "sort")})


def _repository_item(repository: Repository) -> dict[str, Any]:
    name = repository.full_name
    # No list shows one that is being removed.
    owner = f"REMOVED#{repository.owner}" if repository.removed_at else f"REPOSITORY#{repository.owner}"
    item = indexed_item("repository", f"REPOSITORY#{name}", owner, name, repository)
    if repository.kind is RepositoryKind.PROJECT and not repository.removed_at:
        item["active"] = {"S": "project"}
    return item


def _listed_item(listed: Listed) -> dict[str, Any]:
    pk = _listed_pk(listed.place, listed.repository)
    return indexed_item("listed", pk, listed.place, listed.repository, listed)


def _listed_pk(place: str, full_name: str) -> str:
    return f"LISTED#{place}#{full_name}"
