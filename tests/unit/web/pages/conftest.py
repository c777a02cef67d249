"""A browser without JavaScript: it keeps cookies, follows redirects and fills in forms."""

from __future__ import annotations

import base64
import gzip
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from unit.web.conftest import event

from trainyard.model.repository import Repository, RepositoryKind, Scope, Visibility
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.web import app
from trainyard.web.pages import routing

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Shown:
    """What came back."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    text: str
    path: str

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.text)
        assert found, self.text
        return found[1]

    def words(self) -> str:
        """The text without its markup."""
        return unescape(re.sub(r"<[^>]*>", " ", self.text))


@dataclass
class Browser:
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)
    gzip: bool = False

    def get(self, path: str, **headers: str) -> Shown:
        return self._ask("GET", path, None, headers)

    def post(
        self, path: str, fields: dict[str, str] | list[tuple[str, str]], *, csrf: str | None = "", **headers: str
    ) -> Shown:
        """Send a form; `csrf` None: without the token, empty: with the one of a page shown to this browser."""
        pairs = list(fields.items()) if isinstance(fields, dict) else fields
        if csrf == "":
            csrf = self.get("/account" if self.signed_in else "/sign-in").csrf()
        if csrf is not None:
            pairs = [("csrf", csrf), *pairs]
        coded = {"content-type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, urlencode(pairs).encode(), {**coded, **headers})

    @property
    def signed_in(self) -> bool:
        return "__Host-session" in self.cookies

    def sign_in(self, token: str) -> Shown:
        return self.post("/sign-in", {"token": token, "to": "/"})

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Shown:
        parts = urlsplit(path)
        given = {"accept-language": self.language, **({"accept-encoding": "gzip"} if self.gzip else {}), **headers}
        asked = event(method, parts.path, body, parts.query, **given)
        asked["cookies"] = [f"{name}={value}" for name, value in self.cookies.items()]
        answer: dict[str, Any] = app.handle(asked, None)
        for cookie in answer.get("cookies", []):
            name, _, rest = cookie.partition("=")
            value = rest.partition(";")[0]
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        content = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        if answer["headers"].get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        return Shown(answer["statusCode"], answer["headers"], answer.get("cookies", []), content.decode(), path)


@pytest.fixture
def pages(state: State, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr(routing, "state", lambda: state)
    monkeypatch.setattr(app, "state", lambda: state)
    own = Settings(git_base_url="http://127.0.0.1:3000")
    monkeypatch.setattr("trainyard.intake.repositories.settings", lambda: own)
    return state


def signed_in(state: State, user: str, *scopes: Scope) -> Browser:
    browser = Browser()
    secret, _ = issue_token(state.table, user, list(scopes) or [Scope.READ, Scope.WRITE])
    assert browser.sign_in(secret).status == 303
    return browser


@pytest.fixture
def ada(pages: State) -> Browser:
    return signed_in(pages, "ada")


@pytest.fixture
def eve(pages: State) -> Browser:
    return signed_in(pages, "eve")


@pytest.fixture
def project(pages: State) -> Repository:
    """A private one of ada's."""
    made = Repository(
        full_name="ada/lenet5",
        kind=RepositoryKind.PROJECT,
        host="github",
        clone_url="https://github.com/ada/lenet5.git",
        owner="ada",
        visibility=Visibility.PRIVATE,
        created_at=NOW,
    )
    pages.table.create_repository(made)
    return made
