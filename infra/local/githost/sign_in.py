"""Who is it? The API's own tokens, sent the way git and GitHub's clients send them."""

from __future__ import annotations

import base64
import hashlib
import threading
import time

from trainyard.model.repository import AccessToken
from trainyard.store.access import authenticate
from trainyard.store.table import Table

# One push is about five requests; a revoked token works for at most this long.
_KEPT_SECONDS = 5.0
_MAX_KEPT = 1000
_ANY_USER = "x-access-token"
"""GitHub's documented user name for "whoever the token belongs to"."""


class SignIn:
    """`authenticate`, remembered for a moment. Thread-safe."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kept: dict[bytes, tuple[float, AccessToken]] = {}
        self._lock = threading.Lock()

    def token(self, authorization: str | None) -> AccessToken | None:
        """The token behind the header, None without one. Unauthenticated if it is wrong; that is never remembered."""
        if not authorization:
            return None
        name = hashlib.sha256(authorization.encode()).digest()
        with self._lock:
            kept = self._kept.get(name)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        token = authenticate(self._table, _without_placeholder(authorization))
        if token is not None:
            with self._lock:
                if len(self._kept) >= _MAX_KEPT:
                    self._kept.clear()
                self._kept[name] = (time.monotonic() + _KEPT_SECONDS, token)
        return token


def _without_placeholder(authorization: str) -> str:
    """GitHub also takes `token SECRET`, and Basic with a user name that stands for anybody."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "token":
        return f"Bearer {value}"
    if scheme.lower() == "basic":
        try:
            user, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return authorization  # `authenticate` refuses it in its own words
        if user == _ANY_USER:
            return f"Bearer {secret}"
    return authorization
