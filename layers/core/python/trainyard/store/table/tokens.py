"""Access tokens: `TOKEN#{digest}`, in `by_project` as `TOKEN#{user}`, id, until `expires` where they end."""

from __future__ import annotations

from typing import Any

from trainyard.model.repository import AccessToken
from trainyard.store.table.rows import BY_PROJECT, Rows, indexed_item


class TokenRows(Rows):
    def token(self, digest: str) -> AccessToken | None:
        return self._get(f"TOKEN#{digest}", AccessToken)

    def create_token(self, token: AccessToken) -> None:
        self._create(_token_item(token))

    def tokens_of(self, user: str) -> list[AccessToken]:
        """All of a user's tokens, up to a thousand."""
        tokens: list[AccessToken] = []
        cursor = None
        for _ in range(5):
            page = self._query(AccessToken, BY_PROJECT, "project", f"TOKEN#{user}", 200, cursor, newest_first=False)
            tokens += page.rows
            cursor = page.cursor
            if cursor is None:
                break
        return tokens

    def delete_token(self, digest: str) -> None:
        self._delete(f"TOKEN#{digest}")


def _token_item(token: AccessToken) -> dict[str, Any]:
    item = indexed_item("token", f"TOKEN#{token.digest}", f"TOKEN#{token.user}", token.id, token)
    if token.expires_at is not None:
        # DynamoDB removes the row some time after this; until then the token is refused by its own date.
        item["expires"] = {"N": str(int(token.expires_at.timestamp()))}
    return item
