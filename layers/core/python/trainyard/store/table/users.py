"""Users, `USER#{name}`, and who signs in as one, `IDENTITY#{digest}`; in no index.

The name in the key is in lower case: nobody gets one that looks like another's but for its capitals.
"""

from __future__ import annotations

from typing import Any

from trainyard.model.user import Identity, User
from trainyard.store.table.rows import Rows, creation, plain_item


class UserRows(Rows):
    def user(self, name: str) -> User | None:
        return self._get(_user_pk(name), User)

    def create_user(self, user: User) -> None:
        """AlreadyThereError if the name is taken."""
        self._create(_user_item(user))

    def identity(self, digest: str) -> Identity | None:
        return self._get(_identity_pk(digest), Identity)

    def create_identity(self, identity: Identity, user: User) -> bool:
        """Write both together. False, and nothing is written, if the identity has a user or the name somebody."""
        item = plain_item("identity", _identity_pk(identity.digest), identity)
        return self._all_or_none([creation(self.name, item), creation(self.name, _user_item(user))])


def _user_pk(name: str) -> str:
    return f"USER#{name.lower()}"


def _identity_pk(digest: str) -> str:
    return f"IDENTITY#{digest}"


def _user_item(user: User) -> dict[str, Any]:
    return plain_item("user", _user_pk(user.name), user)
