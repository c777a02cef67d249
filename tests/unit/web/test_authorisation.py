"""Every route and every page, with everybody who could ask: what each gets is said here, and a route that nobody said
anything about fails the test.

Who is refused changes nothing: the table is the same before and after.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from builders import a_spec
from conftest import fresh_state
from moto import mock_aws
from unit.web.conftest import Reply, event
from unit.web.personas import PERSONAS, PRIVATE, PUBLIC, REPORT_AT, House, build

from trainyard import clients
from trainyard.model.settings import Settings
from trainyard.web import app
from trainyard.web.routes import ROUTES
from trainyard.web.routes.routing import Route

# Who is refused, and how; the others are let in. What is none of one's business does not exist (404).
Rule = Mapping[str, int]
ALL: Rule = {}
SIGNED_IN: Rule = {"anonymous": 401}
WRITERS: Rule = {"anonymous": 401, "member_reading": 403}  # whoever has a token for more than reading
READ: Rule = {"anonymous": 404, "stranger": 404, "operator": 404}
COMMAND: Rule = {"anonymous": 401, "stranger": 404, "operator": 404, "reader": 403, "member_reading": 403}
# A command on what is not even to be seen: whether one would have to sign in is not told first.
COMMAND_SEEN: Rule = {**COMMAND, "anonymous": 404}
OWN: Rule = {"anonymous": 401, "stranger": 404, "reader": 403, "member_reading": 403, "member": 403}
THE_JOB: Rule = dict.fromkeys(set(PERSONAS) - {"own_job"}, 401)


def refusal(rule: Rule, persona: str) -> int | None:
    """None: let in."""
    if rule is not THE_JOB and persona in ("revoked", "expired", "other_job", "own_job"):
        return 401  # a wrong token is never taken for nobody
    return rule.get(persona)


@dataclass(frozen=True)
class Said:
    rule: Rule
    body: Any = None
    query: str = ""
    run: str = "ended"
    bare: bool = False
    """A project without runs."""


RUN = {"name": "again", "spec": json.loads(a_spec().model_dump_json(exclude_defaults=True))}
RULES = {
    "GET /v1": Said(ALL),
    "GET /v1/openapi.json": Said(ALL),
    "GET /v1/catalog": Said(ALL),
    "GET /v1/events": Said(ALL),
    "GET /v1/events/{event}": Said(ALL),
    "GET /v1/rules": Said(ALL),
    "GET /v1/rules/{rule}": Said(ALL),
    "GET /v1/schema/trainyard.json": Said(ALL),
    "GET /v1/keys/{key}": Said(ALL),
    "GET /v1/user": Said(SIGNED_IN),
    "GET /v1/tokens": Said(SIGNED_IN),
    "POST /v1/tokens": Said(SIGNED_IN, {"name": "x"}),
    "DELETE /v1/tokens/{token}": Said(WRITERS),
    "GET /v1/repositories": Said(SIGNED_IN),
    "GET /v1/projects": Said(SIGNED_IN),
    "POST /v1/repositories": Said(WRITERS, {"name": "new", "kind": "dataset"}),
    "POST /v1/projects": Said(WRITERS, {"name": "new"}),
    "POST /v1/projects/{owner}/{name}/runs": Said(COMMAND, RUN),
    "POST /v1/projects/{owner}/{name}/estimate": Said(COMMAND, RUN),
    "POST /v1/projects/{owner}/{name}/webhook-secret": Said(COMMAND),
    "GET /v1/projects/{owner}/{name}/notifications": Said(COMMAND),
    "POST /v1/projects/{owner}/{name}/notifications": Said(COMMAND, {"target": "https://hook.invalid/y"}),
    "POST /v1/projects/{owner}/{name}/notifications/{notification}/test": Said(COMMAND),
    "DELETE /v1/projects/{owner}/{name}/notifications/{notification}": Said(COMMAND),
    "GET /v1/projects/{owner}/{name}/registries": Said(COMMAND),
    "PUT /v1/projects/{owner}/{name}/registries/{registry}": Said(COMMAND, {"username": "robot", "password": "x"}),
    "DELETE /v1/projects/{owner}/{name}/registries/{registry}": Said(COMMAND),
    "PUT /v1/projects/{owner}/{name}/budget": Said(OWN, {"per_month_usd": 5}),
    "GET /v1/repositories/{owner}/{name}/storage": Said(OWN),
    "POST /v1/repositories/{owner}/{name}/storage/inspect": Said(OWN),
    "POST /v1/repositories/{owner}/{name}/storage/remove-unreferenced": Said(
        OWN, {"report": REPORT_AT.isoformat(), "keys": ["k"]}
    ),
    "PUT /v1/repositories/{owner}/{name}/members/{user}": Said(OWN),
    "DELETE /v1/repositories/{owner}/{name}/members/{user}": Said(OWN),
    "POST /v1/runs/{run}/stop": Said(COMMAND_SEEN, run="going"),
    "POST /v1/runs/{run}/approve": Said(OWN, run="waiting"),
    "POST /v1/runs/{run}/rerun": Said(COMMAND_SEEN, {}),
    "DELETE /v1/runs/{run}": Said(COMMAND),
    "POST /v1/runs/{run}/evaluations": Said(COMMAND_SEEN, {"require": {"loss": "< 1"}}),
    "GET /v1/runs/{run}/evaluations/{number}": Said(READ),
    "POST /v1/runs/{run}/credentials": Said(THE_JOB, run="going"),
    "POST /v1/runs/{run}/registry-login": Said(THE_JOB, run="going"),
    "GET /v1/runs/{run}/search": Said(READ, query="text=loss"),
    "GET /v1/runs/{run}/children": Said(READ),
    "GET /v1/runs/{run}/nodes": Said(READ),
    "GET /v1/projects/{owner}/{name}/search": Said(READ, query="text=loss"),
}
for _kind in ("repositories", "projects"):
    _path = f"/v1/{_kind}/{{owner}}/{{name}}"
    RULES[f"PATCH {_path}"] = Said(OWN, {"description": "x"})
    RULES[f"DELETE {_path}"] = Said(OWN, query="confirm={owner}/{name}", bare=True)
    RULES[f"GET {_path}"] = Said(READ)
    RULES[f"GET {_path}/leaderboard"] = Said(READ)
for _path in ("/v1/projects/{owner}/{name}/runs", "/v1/projects/{owner}/{name}/badge.svg"):
    RULES[f"GET {_path}"] = Said(READ)
for _what in (
    *("", "/waiting", "/log", "/log.gz", "/findings", "/outputs", "/aim", "/aim/files", "/metrics", "/metrics/series"),
    *("/evaluation", "/evaluations", "/bundle", "/report.json", "/report.md", "/report.html", "/comparison"),
):
    RULES[f"GET /v1/runs/{{run}}{_what}"] = Said(READ)


def said(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.fixture(scope="module")
def house(kept_session: Any, kept_client: Any) -> Iterator[House]:
    """One for all routes: who is refused leaves it as it is, and who is let in is followed by somebody who tidies up."""
    own = Settings(
        git_base_url="http://127.0.0.1:3000",
        run_role="arn:aws:iam::123456789012:role/run",
        allowed_image_registries=["ghcr.io"],
    )
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("boto3.DEFAULT_SESSION", kept_session)
        patch.setattr(clients, "client", kept_client)
        state = fresh_state()
        patch.setattr(app, "state", lambda: state)
        for room in ("intake.repositories", "intake.registry_logins", "web.routes.evaluation", "web.routes.jobs"):
            patch.setattr(f"trainyard.{room}.settings", lambda: own)
        patch.setattr("trainyard.hosts.requests.time.sleep", lambda _: None)
        yield build(state)


def test_every_route_says_who_may() -> None:
    assert {said(route) for route in ROUTES} == set(RULES)


@pytest.mark.parametrize("route", ROUTES, ids=said)
def test_who_may(house: House, route: Route) -> None:
    known = RULES[said(route)]
    refused = {persona: status for persona in PERSONAS if (status := refusal(known.rule, persona))}
    for persona, status in refused.items():
        reply = ask(house, route, known, persona)
        assert reply.status == status, (persona, reply.text)
        assert "secret-description" not in reply.text
    assert house.snapshot() == house.rows
    for persona in PERSONAS:
        if persona not in refused:
            reply = ask(house, route, known, persona)
            assert reply.status == route.status, (persona, reply.text)
            if route.method != "GET":
                house.restore()


def ask(house: House, route: Route, known: Said, persona: str) -> Reply:
    project = PUBLIC if persona == "reader" else PRIVATE
    owner, _, name = (f"{project}-bare" if known.bare else project).partition("/")
    places = {
        "owner": owner, "name": name, "run": house.runs(persona)[known.run], "user": "carol", "notification": "n1",
        "registry": "ghcr.io",
        "event": "run.finished", "rule": house.a_rule, "key": house.a_key, "number": "1",
        "token": house.token_ids.get(persona, "x"),
    }  # fmt: skip

    def filled(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: places[found[1]], text)

    headers = {"authorization": f"Bearer {house.tokens[persona]}"} if house.tokens[persona] else {}
    answer = app.handle(event(route.method, filled(route.path), known.body, filled(known.query), **headers), None)
    return Reply(answer["statusCode"], answer["headers"], answer.get("body", ""))
