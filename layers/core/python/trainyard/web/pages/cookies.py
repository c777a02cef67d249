"""The cookies of the pages: who is signed in or about to be, and the language that was chosen by hand."""

from __future__ import annotations

import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from trainyard.store.access import SESSION_LASTS
from trainyard.web.messages import Request

LANGUAGE = "language"
LANGUAGES = ("en", "zh")
_A_YEAR = timedelta(days=365)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Cookies:
    """What came with one request, and what goes with its answer.

    Both cookies hold a secret of the pages' own, never an access token. `visitor` only binds the sign-in form to the
    browser that it was shown in; `session` is somebody who is signed in. `attempt` is a sign-in under way at another
    service, for some minutes.
    """

    def __init__(self, request: Request) -> None:
        where = urlsplit(request.public_url)
        # Browsers take the prefix only for cookies that are Secure, which plain http on loopback cannot have.
        self._secure = not (where.scheme == "http" and where.hostname in _LOOPBACK)
        self._prefix = "__Host-" if self._secure else ""
        self._sent = request.cookies
        self._set: list[str] = []
        self.session = self._sent.get(f"{self._prefix}session")
        self._visitor = self._sent.get(f"{self._prefix}visitor")
        self.attempt = self._sent.get(f"{self._prefix}attempt")

    @property
    def secret(self) -> str | None:
        """What this browser's forms are bound to."""
        return self.session or self._visitor

    def begin(self) -> None:
        """Give a browser that has none a secret for its forms."""
        self._visitor = secrets.token_urlsafe(16)
        self._set.append(self._cookie("visitor", self._visitor, None))

    def keep_attempt(self, sealed: str, lasts: timedelta) -> None:
        self._set.append(self._cookie("attempt", sealed, lasts))

    def forget_attempt(self) -> None:
        self._set.append(self._cookie("attempt", "", timedelta(0)))

    def sign_in(self, session: str) -> None:
        self.session = session
        self._set.append(self._cookie("session", session, SESSION_LASTS))

    def sign_out(self) -> None:
        self.session = None
        self._set.append(self._cookie("session", "", timedelta(0)))

    def choose_language(self, language: str) -> None:
        secure = "; Secure" if self._secure else ""
        age = _seconds(_A_YEAR)
        self._set.append(f"{LANGUAGE}={language}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")

    def to_set(self) -> list[str]:
        """The Set-Cookie lines of the answer."""
        return self._set

    def _cookie(self, name: str, value: str, lasts: timedelta | None) -> str:
        age = "" if lasts is None else f"; Max-Age={_seconds(lasts)}"
        secure = "; Secure" if self._secure else ""
        # Lax: a link from the git host's commit status leads to a page where one is still signed in.
        return f"{self._prefix}{name}={value}; Path=/{age}; HttpOnly; SameSite=Lax{secure}"


def _seconds(lasts: timedelta) -> int:
    return int(lasts.total_seconds())
