"""Every page with everybody who could ask for it, as `unit/web/test_authorisation.py` does with the routes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import fresh_state
from moto import mock_aws
from unit.web.pages.conftest import Browser, Shown
from unit.web.personas import PRIVATE, PUBLIC, House, build

from trainyard import clients
from trainyard.model.check import Check
from trainyard.model.repository import Scope
from trainyard.model.settings import Settings
from trainyard.store.access import issue_token, token_digest
from trainyard.web import app
from trainyard.web.pages import routing
from trainyard.web.pages.routing import PAGES, Page
from trainyard.web.static_files import static_url

# A job's token is no session, whatever cookie brings it.
VISITORS = ("anonymous", "revoked", "own_job", "stranger", "reader", "member_reading", "member", "owner", "operator")
Rule = Mapping[str, int]
ALL: Rule = {}
# Whoever has to sign in is sent there from a page, and refused where a form was sent.
SIGNED_IN: Rule = {"anonymous": 303, "revoked": 303, "own_job": 303}
READ: Rule = {"anonymous": 404, "revoked": 404, "own_job": 404, "stranger": 404, "operator": 404}
COMMAND: Rule = {**SIGNED_IN, "stranger": 404, "operator": 404, "reader": 403, "member_reading": 403}
SENT: Rule = {"anonymous": 401, "revoked": 401, "own_job": 401}
SENT_COMMAND: Rule = {**COMMAND, **SENT}
SENT_OWN: Rule = {**SENT, "stranger": 404, "reader": 403, "member_reading": 403, "member": 403}
SENT_SEEN: Rule = {**SENT_COMMAND, "anonymous": 404, "revoked": 404, "own_job": 404}
# A form that shows its refusals at its fields.
SHOWN: Rule = {"anonymous": 422, "revoked": 422, "own_job": 422, "member_reading": 422}
# A check is its asker's own: bob's, who once has a token for writing and once one for reading.
ASKER: Rule = {**COMMAND, "reader": 403, "owner": 404}


@dataclass(frozen=True)
class Said:
    rule: Rule
    status: int = 200
    query: str = ""
    form: dict[str, str] = field(default_factory=dict)
    run: str = "ended"


PROJECT, RUN = "/projects/{owner}/{name}", "/runs/{run}"
TOLD = {
    "GET /": Said(ALL),
    "GET /public": Said(ALL, query="q=ada"),
    "GET /open": Said(ALL, 303, "project=ada/open"),
    "GET /guide": Said(ALL),
    "GET /catalogue": Said(ALL),
    "GET /static/{file}": Said(ALL),
    "POST /sign-in": Said(ALL, 401, form={"token": "ty_" + "x" * 43}),
    "POST /sign-out": Said(ALL, 303),
    # Nobody named a provider here; `test_openid.py` has one.
    "GET /sign-in/openid": Said(ALL, 404),
    "GET /sign-in/openid/callback": Said(ALL, 404, "code=x&state=y"),
    "GET /account": Said(SIGNED_IN),
    "POST /account/tokens": Said(SENT, 201, form={"scope": "read"}),
    "POST /account/tokens/{token}/revoke": Said({**SENT, "member_reading": 403}, 303),
    "GET /repositories/new": Said(SIGNED_IN),
    "POST /repositories/new": Said(SHOWN, 201, form={"name": "new", "kind": "dataset"}),
    "GET /repositories/{owner}/{name}": Said(READ),
    "POST /repositories/{owner}/{name}/budget": Said(
        {**SENT_OWN, "anonymous": 404, "revoked": 404, "own_job": 404, "operator": 404}, 303, form={"per_run_usd": "5"}
    ),
    f"GET {PROJECT}": Said(READ),
    f"GET {PROJECT}/compare": Said(READ, query="run={run},{other}"),
    f"GET {PROJECT}/new": Said(COMMAND),
    f"POST {PROJECT}/new": Said(SENT_COMMAND, form={"action": "add"}),
    f"GET {PROJECT}/checks/{{check}}": Said(ASKER),
    f"GET {RUN}": Said(READ),
    f"GET {RUN}/log": Said(READ),
    f"GET {RUN}/live": Said(READ),
    f"GET {RUN}/plots": Said(READ),
    f"GET {RUN}/children": Said(READ),
    f"GET {RUN}/outputs": Said(READ),
    f"GET {RUN}/outputs/{{rest}}": Said(READ, 302),
    f"GET {RUN}/log.gz": Said(READ, 302),
    f"GET {RUN}/bundle.json": Said(READ, 302),
    f"GET {RUN}/delete": Said(READ),
    f"POST {RUN}/stop": Said(SENT_SEEN, 303, run="going"),
    f"POST {RUN}/approve": Said(SENT_OWN, 303, run="waiting"),
    f"POST {RUN}/rerun": Said(SENT_SEEN, 303),
    f"POST {RUN}/delete": Said(SENT_SEEN, 303),
}
# Who is signed in already is led on.
SIGN_IN = "GET /sign-in"
CHECK = "check-" + "0" * 32


def said(page: Page) -> str:
    return f"{page.method} " + re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", page.pattern.pattern)


@dataclass
class Visitors:
    house: House
    sessions: dict[str, dict[str, str]]

    def ask(self, page: Page, known: Said, visitor: str, **more: Any) -> Shown:
        browser = Browser(cookies=dict(self.sessions[visitor]))
        owner, _, name = (PUBLIC if visitor == "reader" else PRIVATE).partition("/")
        runs = self.house.runs(visitor)
        places = {
            "owner": owner, "name": name, "run": runs[known.run], "other": runs["going"], "rest": "a.ckpt",
            "token": self.house.token_ids.get(visitor, "x"), "file": static_url("app.css").rpartition("/")[2],
            "check": CHECK,
        }  # fmt: skip

        def filled(text: str) -> str:
            return re.sub(r"\{(\w+)\}", lambda found: places[found[1]], text)

        path = filled(said(page).partition(" ")[2]) + (f"?{filled(known.query)}" if known.query else "")
        return browser.get(path) if page.method == "GET" else browser.post(path, known.form, **more)


@pytest.fixture(scope="module")
def visitors(kept_session: Any, kept_client: Any) -> Iterator[Visitors]:
    own = Settings(git_base_url="http://127.0.0.1:3000")
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("boto3.DEFAULT_SESSION", kept_session)
        patch.setattr(clients, "client", kept_client)
        state = fresh_state()
        for room in (app, routing):
            patch.setattr(room, "state", lambda: state)
        patch.setattr("trainyard.intake.repositories.settings", lambda: own)
        house = build(state)
        sessions: dict[str, dict[str, str]] = {"anonymous": {}}
        sessions["own_job"] = {"__Host-session": house.tokens["own_job"] or ""}
        for visitor in VISITORS[3:]:
            browser = Browser()
            assert browser.sign_in(house.tokens[visitor] or "").status == 303
            sessions[visitor] = browser.cookies
        sessions["revoked"] = _signed_in_and_revoked(house)
        state.table.create_check(Check(id=CHECK, project=PRIVATE, requested_by="bob", requested_at=datetime.now(UTC)))
        house.keep()
        yield Visitors(house, sessions)


def _signed_in_and_revoked(house: House) -> dict[str, str]:
    secret, _ = issue_token(house.state.table, "ada", [Scope.WRITE])
    browser = Browser()
    assert browser.sign_in(secret).status == 303
    house.state.table.delete_token(token_digest(secret))
    return browser.cookies


def test_who_is_signed_in_is_not_asked_again(visitors: Visitors) -> None:
    page = next(page for page in PAGES if said(page) == SIGN_IN)
    shown = {visitor: visitors.ask(page, Said(ALL), visitor).status for visitor in VISITORS}
    assert shown == {visitor: 200 if visitor in SENT else 303 for visitor in VISITORS}


def test_no_session_is_opened_for_a_job(visitors: Visitors) -> None:
    assert Browser().sign_in(visitors.house.tokens["own_job"] or "").status == 401
    assert visitors.house.snapshot() == visitors.house.rows


def test_every_page_says_who_may() -> None:
    assert {said(page) for page in PAGES} == set(TOLD) | {SIGN_IN}


@pytest.mark.parametrize("page", [page for page in PAGES if said(page) != SIGN_IN], ids=said)
def test_who_may(visitors: Visitors, page: Page) -> None:
    known, house = TOLD[said(page)], visitors.house
    for visitor, status in known.rule.items():
        shown = visitors.ask(page, known, visitor, **_csrf(visitors, page, visitor))
        assert shown.status == status, (visitor, shown.words()[-300:])
        assert "secret-description" not in shown.text
        if status == 303:
            assert shown.headers["location"].startswith("/sign-in")
    assert house.snapshot() == house.rows
    for visitor in (one for one in VISITORS if one not in known.rule):
        shown = visitors.ask(page, known, visitor, **_csrf(visitors, page, visitor))
        assert shown.status == known.status, (visitor, shown.words()[-300:])
        assert not shown.headers.get("location", "").startswith("/sign-in")
        if page.method == "POST":
            house.restore()


@pytest.mark.parametrize("page", [page for page in PAGES if page.method == "POST"], ids=said)
def test_no_form_is_taken_that_we_did_not_give_out(visitors: Visitors, page: Page) -> None:
    known = TOLD.get(said(page), Said(ALL))
    assert visitors.ask(page, known, "owner", csrf=None).status == 403
    assert visitors.ask(page, known, "owner", csrf="0" * 64).status == 403
    assert visitors.house.snapshot() == visitors.house.rows


def _csrf(visitors: Visitors, page: Page, visitor: str) -> dict[str, str]:
    """Of the page that this browser would have the form from; a session that was taken back is shown the sign-in."""
    if page.method == "GET" or visitor not in ("revoked", "own_job"):
        return {}
    browser = Browser(cookies=visitors.sessions[visitor])
    return {"csrf": browser.get("/sign-in").csrf()}
