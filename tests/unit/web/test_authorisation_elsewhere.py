"""Who may, at the paths that the API's function does not answer: webhooks and Git LFS. With those of
`test_authorisation.py` and of the pages they are all paths that the template opens to the internet.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import a_repository
from conftest import fresh_state
from moto import mock_aws
from unit.infra.templates import functions
from unit.web.conftest import event
from unit.web.personas import PERSONAS, PRIVATE, PUBLIC, House, build

from infra.local.modelarts.smn import Smn
from trainyard import clients
from trainyard.hosts.registry import HOSTS
from trainyard.lfs import batch, routing
from trainyard.lfs.quota import Quota
from trainyard.model.repository import FileLock, RepositoryKind, Visibility
from trainyard.model.settings import Settings
from trainyard.store.layout import content_key
from trainyard.store.secrets import webhook_secret_name
from trainyard.tracking import wake
from trainyard.web import hooks

# Whoever brings a token that is not good for people is refused before anything else is looked at.
WRONG_TOKEN = dict.fromkeys(("revoked", "expired", "other_job", "own_job"), 401)
Rule = Mapping[str, int]
READ: Rule = {**WRONG_TOKEN, "anonymous": 401, "stranger": 404, "operator": 404}
WRITE: Rule = {**READ, "reader": 403, "member_reading": 403}

OID = hashlib.sha256(b"weights").hexdigest()
LOCK = hashlib.sha256(b"a.bin").hexdigest()[:32]
TOPIC = "urn:smn:cn-north-4:77b6a44cba5143ab91d13ab9a8ff44fd:trainyard"


@dataclass(frozen=True)
class Said:
    rule: Rule
    body: Any = None
    status: int = 200


def _batch(operation: str) -> dict[str, Any]:
    return {"operation": operation, "objects": [{"oid": OID, "size": 7}]}


LFS: dict[str, list[Said]] = {
    "POST objects/batch": [Said(READ, _batch("download")), Said(WRITE, _batch("upload"))],
    "GET locks": [Said(READ)],
    "POST locks": [Said(WRITE, {"path": "b.bin"}, 201)],
    "POST locks/verify": [Said(WRITE, {})],
    "POST locks/{lock}/unlock": [Said(WRITE, {"force": True})],
}


@pytest.fixture(scope="module")
def house(kept_session: Any, kept_client: Any) -> Iterator[House]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("boto3.DEFAULT_SESSION", kept_session)
        patch.setattr(clients, "client", kept_client)
        state = fresh_state()
        patch.setattr(hooks, "state", lambda: state)
        patch.setattr(batch, "_quota_of", lambda known: Quota(known.objects, 0))
        house = build(state)
        for project, visibility in ((PRIVATE, Visibility.PRIVATE), (PUBLIC, Visibility.PUBLIC)):
            state.secrets.put(webhook_secret_name(project), f"secret of {project}")
            name, kind = f"{project}-model", RepositoryKind.MODEL
            state.table.create_repository(
                a_repository(name, kind=kind, visibility=visibility, members=["bob", "carol"])
            )
            state.table.create_lock(
                FileLock(id=LOCK, repository=name, path="a.bin", owner="carol", locked_at=datetime.now(UTC))
            )
            state.objects.put(content_key(name, OID), b"weights")
        house.keep()
        yield house


def test_every_path_of_the_template_is_tried() -> None:
    opened: dict[str, set[str]] = {}
    for name, each in functions().items():
        assert "FunctionUrlConfig" not in each
        for one in each.get("Events", {}).values():
            if one["Type"] == "HttpApi":
                asked = one.get("Properties", {})
                opened.setdefault(name, set()).add(f"{asked.get('Method', 'any')} {asked.get('Path', 'else')}".lower())
    assert opened == {
        "api": {"any else", "get /v1", "any /v1/{proxy+}"},
        "receive_push": {f"post {path}" for path in hooks.HOOKS},
        "serve_lfs": {"any /{owner}/{repo}/info/lfs/{proxy+}"},
    }
    assert {f"{route.method} {route.path}" for route in routing.ROUTES} == set(LFS)
    assert set(hooks.HOOKS) == {hooks.SMN_PATH, "/hooks/{host}/{owner}/{name}"}


def headers_of(house: House, persona: str) -> dict[str, str]:
    return {"authorization": f"Bearer {house.tokens[persona]}"} if house.tokens[persona] else {}


@pytest.mark.parametrize(
    ("route", "known"),
    [pytest.param(route, one, id=f"{route.method} {route.path} {one.body}")
     for route in routing.ROUTES for one in LFS.get(f"{route.method} {route.path}", [])],
)  # fmt: skip
def test_who_may_at_git_lfs(house: House, route: routing.Route, known: Said) -> None:
    for persona in PERSONAS:
        place = f"{PUBLIC if persona == 'reader' else PRIVATE}-model"
        rest = route.path.replace("{lock}", LOCK)
        asked = event(route.method, f"/{place}.git/info/lfs/{rest}", known.body, **headers_of(house, persona))
        answer = batch.handle_lfs(asked, house.state)
        assert answer["statusCode"] == known.rule.get(persona, known.status), (persona, answer["body"])
        if persona in known.rule:
            assert house.snapshot() == house.rows, persona
            assert "a.bin" not in answer["body"]
            assert "href" not in answer["body"]
        else:
            house.restore()


def test_no_pattern_of_git_lfs_goes_past_who_may(house: House) -> None:
    """Whatever the address, it is asked first who is there."""
    for rest in ("objects", "locks/x", "../../other.git/info/lfs/locks", "verify"):
        answer = batch.handle_lfs(event("POST", f"/{PRIVATE}-model.git/info/lfs/{rest}", {}), house.state)
        assert answer["statusCode"] in (401, 404)
        assert "a.bin" not in answer["body"]


@pytest.mark.parametrize("host", HOSTS)
def test_no_token_is_a_signature(house: House, host: str) -> None:
    """Not the owner's, nor the operator's, nor the job's: at private, public and missing projects alike."""
    body = json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": "a" * 40})
    for project in (PRIVATE, PUBLIC):
        house.state.table.change_repository(project, lambda known: known.model_copy(update={"host": host}))
    before = house.snapshot()
    said: dict[str, set[tuple[int, str]]] = {}
    for persona in PERSONAS:
        for project in (PRIVATE, PUBLIC, "ada/missing", f"{PRIVATE}-model"):
            # As the hosts that send the secret itself would: with the token in its place.
            sent = {
                "x-github-event": "push", "x-gitea-event": "push", "x-gitlab-event": "Push Hook",
                "x-gitee-event": "Push Hook", "x-gitlab-token": house.tokens[persona] or "",
                "x-gitee-token": house.tokens[persona] or "", **headers_of(house, persona),
            }  # fmt: skip
            answer = hooks.handle_hook(event("POST", f"/hooks/{host}/{project}", body, **sent))
            said.setdefault(persona, set()).add((answer["statusCode"], answer["body"]))
    # One answer for all, so that nobody learns which private projects there are.
    (only,) = set.union(*said.values())
    assert only[0] == 401
    assert house.snapshot() == before
    house.restore()


def test_a_signature_is_good_for_its_own_project(house: House) -> None:
    body = json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": "a" * 40})

    def deliver(project: str, secret: str) -> int:
        signature = "sha256=" + hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
        sent = {"x-github-event": "push", "x-hub-signature-256": signature}
        status: int = hooks.handle_hook(event("POST", f"/hooks/github/{project}", body, **sent))["statusCode"]
        return status

    assert deliver(PRIVATE, f"secret of {PUBLIC}") == 401
    assert house.snapshot() == house.rows
    assert deliver(PRIVATE, f"secret of {PRIVATE}") == 202
    house.restore()


def test_no_token_speaks_as_smn(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    with Smn(TOPIC) as smn:
        known = Settings(smn_topic=TOPIC, smn_endpoint=smn.endpoint, allow_loopback_http=True)
        for room in ("tracking.wake", "hosts.addresses"):
            monkeypatch.setattr(f"trainyard.{room}.settings", lambda: known)
        monkeypatch.setattr(wake, "_wake", called.append)
        forged = smn.message("Notification", message="run-01") | {"message": "another"}
        for persona in PERSONAS:
            asked = event("POST", hooks.SMN_PATH, forged, **headers_of(house, persona))
            assert hooks.handle_hook(asked)["statusCode"] == 401, persona
    assert called == []
    assert house.snapshot() == house.rows


@pytest.mark.parametrize("path", ["/hooks", "/hooks/", "/hooks/smn/", "/hooks/github/ada", "/hooks/github/a/b/c"])
def test_other_addresses_of_webhooks_are_none(house: House, path: str) -> None:
    assert not any(re.fullmatch(hook, path) for hook in hooks.HOOKS)
    assert hooks.handle_hook(event("POST", path, "{}"))["statusCode"] == 404
