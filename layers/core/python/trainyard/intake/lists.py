"""Which repositories somebody finds here: their own, those that are shared with them, and the public ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainyard.model.repository import Listed, Repository, RepositoryKind, Visibility
from trainyard.store.table import Page, Table, cursor_behind, wrong_cursor

NAMES_LOOKED_AT = 1000
"""For one page, where not all are wanted; the next page goes on from there. A name is some 150 bytes."""
_OWN, _SHARED = "own", "shared"

_Read = Callable[[int, str | None], Page[Listed]]


@dataclass(frozen=True)
class Wanted:
    """Which of them."""

    kind: RepositoryKind | None = None
    """None: of every kind."""
    words: str = ""
    """All of them are in its name."""

    @property
    def is_all(self) -> bool:
        return self.kind is None and not self.words.split()

    def fits(self, full_name: str, kind: RepositoryKind) -> bool:
        name = full_name.casefold()
        return self.kind in (None, kind) and all(word in name for word in self.words.casefold().split())


def repositories_of_user(table: Table, user: str, wanted: Wanted, limit: int, cursor: str | None) -> Page[Repository]:
    """The user's own by name, then those that they are a member of, by name. A page may hold less than `limit`.

    Reads what it shows, however many there are. InvalidInput for a cursor of another list.
    """
    part, inner = _part(cursor)
    own: list[Repository] = []
    if part == _OWN:
        page = table.repositories_of(user, limit, inner)
        own = [one for one in page.rows if wanted.fits(one.full_name, one.kind)]
        if page.cursor is not None:
            return Page(own, f"{_OWN}.{page.cursor}")
        inner = None
    if len(own) == limit:
        return Page(own, f"{_SHARED}.")
    shared = _some(lambda count, at: table.shared_with(user, count, at), wanted, limit - len(own), inner)
    # The row in the list says where to look; whether they are a member says the repository.
    theirs = [one for one in _read(table, shared) if one.may_write(user)]
    return Page(own + theirs, None if shared.cursor is None else f"{_SHARED}.{shared.cursor}")


def public_repositories(table: Table, wanted: Wanted, limit: int, cursor: str | None) -> Page[Repository]:
    """The public ones of everybody, by name. Otherwise as `repositories_of_user`."""
    some = _some(table.public_repositories, wanted, limit, cursor)
    return Page([one for one in _read(table, some) if one.visibility is Visibility.PUBLIC], some.cursor)


def _some(read: _Read, wanted: Wanted, limit: int, cursor: str | None) -> Page[Listed]:
    """The first that fit, of those in one query."""
    if wanted.is_all:
        return read(limit, cursor)
    page = read(max(NAMES_LOOKED_AT, limit), cursor)
    found = [one for one in page.rows if wanted.fits(one.repository, one.kind)]
    if len(found) <= limit:
        return Page(found, page.cursor)
    return Page(found[:limit], cursor_behind(found[limit - 1]))


def _read(table: Table, page: Page[Listed]) -> list[Repository]:
    return table.repositories([one.repository for one in page.rows])


def _part(cursor: str | None) -> tuple[str, str | None]:
    """Which of the two lists a cursor is in, and where."""
    if not cursor:
        return _OWN, None
    part, point, inner = cursor.partition(".")
    if part not in (_OWN, _SHARED) or not point or (part == _OWN and not inner):
        raise wrong_cursor()
    return part, inner or None
