"""How a request finds its page, who is asking, and what every page needs to answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from trainyard.intake.permissions import readable_repository, readable_run
from trainyard.model.errors import NotFound
from trainyard.model.repository import AccessToken, Repository, Scope
from trainyard.model.run import Run
from trainyard.model.settings import settings
from trainyard.model.text import Language, Text
from trainyard.store import State, state
from trainyard.store.access import token_of_session
from trainyard.store.limits import RateLimit
from trainyard.web.errors import answered_page
from trainyard.web.messages import Request, preferred_language, read_request
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.cookies import LANGUAGE, LANGUAGES, Cookies
from trainyard.web.pages.csrf import csrf_token, require_csrf
from trainyard.web.pages.templating import render

_METHODS = ("GET", "POST")


@dataclass(frozen=True)
class Visit:
    """One request for a page."""

    request: Request
    place: dict[str, str]
    """The variable parts of the path."""

    @property
    def state(self) -> State:
        return state()

    @cached_property
    def cookies(self) -> Cookies:
        return Cookies(self.request)

    @cached_property
    def token(self) -> AccessToken | None:
        """What the visitor may do; None for somebody who is not signed in."""
        secret = self.cookies.session
        return token_of_session(self.state.table, secret) if secret else None

    @property
    def user(self) -> str | None:
        return self.token.user if self.token else None

    @property
    def language(self) -> Language:
        chosen = self.request.cookies.get(LANGUAGE)
        if chosen in LANGUAGES:
            return "zh" if chosen == "zh" else "en"
        return preferred_language(self.request.headers)

    @property
    def repository_name(self) -> str:
        return f"{self.place['owner']}/{self.place['name']}"

    def repository(self) -> Repository:
        return readable_repository(self.state.table, self.repository_name, self.token)

    def run(self) -> Run:
        return readable_run(self.state.table, self.place["run"], self.token)

    def may_command(self, repository: Repository | None) -> bool:
        """Whether the buttons that change something are shown; pressing one is checked again."""
        return repository is not None and self.token is not None and repository.may_write(self.token.user)

    def may_approve(self, repository: Repository | None) -> bool:
        """Whether the button that agrees to a run's cost is shown: to the owner, and to operators."""
        owns = repository is not None and self.token is not None and repository.owner == self.token.user
        return owns or (self.token is not None and Scope.OPERATE in self.token.scopes)

    def page(self, template: str, status: int = 200, **values: Any) -> PageAnswer:
        """A template with what every page shows besides."""
        if self.cookies.secret is None:
            self.cookies.begin()
        html = render(
            template,
            self.language,
            user=self.user,
            status=status,
            path=self.request.path,
            other_language=self._in_other_language(),
            csrf=csrf_token(self.cookies.secret or ""),
            **values,
        )
        return PageAnswer(status, html, cookies=self.cookies.to_set())

    def _in_other_language(self) -> str:
        """The query that shows the same page in the other language."""
        rest = [(name, value) for name, value in parse_qsl(self.request.raw_query) if name != "language"]
        return "?" + urlencode([*rest, ("language", "en" if self.language == "zh" else "zh")])

    def redirect(self, to: str) -> PageAnswer:
        """Go on elsewhere with GET."""
        return PageAnswer(303, headers={"location": to}, cookies=self.cookies.to_set())


@dataclass(frozen=True)
class Page:
    method: str
    pattern: re.Pattern[str]
    act: Callable[[Visit], PageAnswer]


PAGES: list[Page] = []
_Act = Callable[[Visit], PageAnswer]


def page(method: str, path: str) -> Callable[[_Act], _Act]:
    """Every POST is refused without the token that our own forms carry."""
    assert method in _METHODS
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path).replace("(?P<rest>[^/]+)", "(?P<rest>.+)"))

    def register(act: _Act) -> _Act:
        PAGES.append(Page(method, pattern, act))
        return act

    return register


def handle_page(event: dict[str, Any]) -> dict[str, Any]:
    """An HTTP API event in, its page out. Never raises."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    gzip = "gzip" in headers.get("accept-encoding", "")
    visits: list[Visit] = []

    def act() -> dict[str, Any]:
        return _found(read_request(event), visits).to_gateway(gzip=gzip)

    def explain(status: int, message: Text) -> dict[str, Any]:
        return _explained(visits, headers, status, message).to_gateway(gzip=gzip)

    return answered_page(act, explain)


def _found(request: Request, visits: list[Visit]) -> PageAnswer:
    method = "GET" if request.method == "HEAD" else request.method
    nowhere = Visit(request, {})
    visits.append(nowhere)
    for each in PAGES:
        match = each.pattern.fullmatch(request.path)
        if match and each.method == method:
            visit = Visit(request, match.groupdict())
            if method == "POST":
                limit_rate(request)
                require_csrf(request, visit.cookies.secret)
            elif request.query.get("language") in LANGUAGES:
                return _in_language(visit, request.query["language"])
            return each.act(visit)
    raise NotFound(Text(en="There is no such page. Check the address.", zh="没有此页面，请检查地址。"))


def _in_language(visit: Visit, language: str) -> PageAnswer:
    """The language is chosen by hand: it is remembered, and the same page comes again without the question."""
    visit.cookies.choose_language(language)
    rest = [(name, value) for name, value in parse_qsl(visit.request.raw_query) if name != "language"]
    return visit.redirect(quote(visit.request.path) + (f"?{urlencode(rest)}" if rest else ""))


def _explained(visits: list[Visit], headers: dict[str, str], status: int, message: Text) -> PageAnswer:
    """The page about an error. Who has to sign in is sent there, and comes back."""
    if not visits:  # the request itself could not be read
        language = preferred_language(headers)
        return _bare(language, status, message)
    visit = visits[-1]
    if status == 401 and visit.request.method == "GET":
        return visit.redirect(f"/sign-in?to={quote(visit.request.path, safe='')}")
    try:
        return visit.page("error.html", status, message=message)
    except Exception:  # the state itself may be out of reach, and with it who is asking
        if status != 500:
            raise
        return _bare("en", status, message)


def _bare(language: Language, status: int, message: Text) -> PageAnswer:
    """The same for nobody in particular."""
    about = {"user": None, "path": "/", "other_language": "", "csrf": "", "status": status, "message": message}
    return PageAnswer(status, render("error.html", language, **about))


def limit_rate(request: Request) -> None:
    """For what writes, or asks others: TooManyRequests from one address are refused."""
    _rate_limit().take(f"form {request.caller}")


@cache
def _rate_limit() -> RateLimit:
    return RateLimit(state().table, settings().requests_per_minute)
