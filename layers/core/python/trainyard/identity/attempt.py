"""A sign-in that was begun in one browser: what that browser keeps of it, sealed, until the provider sends it back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass

LASTS_SECONDS = 600
_LONGEST = 3000


@dataclass(frozen=True)
class Attempt:
    state: str
    """Comes back from the provider: the answer belongs to what this browser began."""
    nonce: str
    """Comes back inside the ID token: it was made for this sign-in."""
    verifier: str
    """PKCE's secret: whoever steals the code cannot redeem it."""
    to: str
    """Path to go on to."""
    ends: int
    """Unix time."""

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier (S256)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    @property
    def digest(self) -> str:
        """By which it is remembered that it was used."""
        return hashlib.sha256(self.state.encode()).hexdigest()


def begun(to: str, now: float | None = None) -> Attempt:
    ends = int(now or time.time()) + LASTS_SECONDS
    return Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), to, ends)


def sealed(attempt: Attempt, key: str) -> str:
    """For a cookie: readable by the browser, but made by nobody else."""
    text = base64.urlsafe_b64encode(json.dumps(asdict(attempt)).encode()).decode()
    return f"{text}.{_seal(text, key)}"


def opened(cookie: str, key: str, now: float | None = None) -> Attempt | None:
    """The attempt in a cookie; None where it is not ours, is broken, or has taken too long."""
    text, _, seal = cookie.rpartition(".")
    if len(cookie) > _LONGEST or not cookie.isascii() or not hmac.compare_digest(seal, _seal(text, key)):
        return None
    attempt = Attempt(**json.loads(base64.urlsafe_b64decode(text)))
    return attempt if attempt.ends > (now or time.time()) else None


def _seal(text: str, key: str) -> str:
    return hmac.new(key.encode(), b"trainyard sign-in " + text.encode(), hashlib.sha256).hexdigest()
