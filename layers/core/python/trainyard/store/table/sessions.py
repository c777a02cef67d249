"""Sessions of the pages: `SESSION#{digest}`, in `by_project` as `SESSION#{user}`, time, until `expires`."""

from __future__ import annotations

from typing import Any

from trainyard.model.session import Session
from trainyard.store.table.rows import Rows, indexed_item, seconds


class SessionRows(Rows):
    def session(self, digest: str) -> Session | None:
        return self._get(f"SESSION#{digest}", Session)

    def create_session(self, session: Session) -> None:
        self._create(_session_item(session))

    def delete_session(self, digest: str) -> None:
        self._delete(f"SESSION#{digest}")


def _session_item(session: Session) -> dict[str, Any]:
    item = indexed_item(
        "session", f"SESSION#{session.digest}", f"SESSION#{session.user}", session.created_at.isoformat(), session
    )
    return item | {"expires": seconds(session.expires_at)}
