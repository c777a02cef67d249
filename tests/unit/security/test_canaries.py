"""A canary in every secret; then everything is asked for by everybody, webhooks come and statuses and notifications go.
No canary is found in what was answered, stored, sent on or logged."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from builders import NOW
from contracts.hosts.api_server import Received, serving
from unit.web.conftest import event
from unit.web.personas import PERSONAS, PRIVATE, House, build
from unit.web.test_authorisation import RULES, ask, said

from trainyard import clients
from trainyard.hosts.contract import HostUnavailableError
from trainyard.model.event_name import EventName
from trainyard.model.events import run_event
from trainyard.model.settings import Settings
from trainyard.reporting.notifications import notify, try_out
from trainyard.reporting.statuses import report_run
from trainyard.store import State
from trainyard.store.secrets import host_token_name, notification_secret_name, webhook_secret_name
from trainyard.web import app, hooks
from trainyard.web.hooks import handle_hook
from trainyard.web.routes import ROUTES

WEBHOOK, HOST = "canary-webhook-7f3a", "canary-host-token-91bc"
NOTIFICATION = "whsec_" + "Y2FuYXJ5LW5vdGlmaWNhdGlvbg=="


class _Everything(logging.Formatter):
    """The message and whatever was said beside it."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {record.__dict__}"


@pytest.fixture
def house(state: State, monkeypatch: pytest.MonkeyPatch) -> House:
    own = Settings(
        git_base_url="http://127.0.0.1:3000",
        run_role="arn:aws:iam::123456789012:role/run",
        allow_loopback_http=True,
    )
    monkeypatch.setattr(app, "state", lambda: state)
    monkeypatch.setattr(hooks, "state", lambda: state)
    for room in ("intake.repositories", "web.routes.evaluation", "web.routes.jobs", "hosts.addresses"):
        monkeypatch.setattr(f"trainyard.{room}.settings", lambda: own)
    monkeypatch.setattr("trainyard.hosts.requests.time.sleep", lambda _: None)
    house = build(state)
    state.secrets.put(webhook_secret_name(PRIVATE), WEBHOOK)
    state.secrets.put(host_token_name(PRIVATE), HOST)
    state.secrets.put(notification_secret_name(PRIVATE, "n1"), NOTIFICATION)
    return house


@pytest.mark.parametrize("status", [200, 401, 503])
def test_no_secret_is_written_anywhere(house: House, status: int, caplog: pytest.LogCaptureFixture) -> None:
    written = io.StringIO()
    log = logging.StreamHandler(written)
    log.setFormatter(_Everything())
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    for one in loggers:
        one.addHandler(log)
    try:
        answers = _everything(house, status)
    finally:
        for one in loggers:
            one.removeHandler(log)
    secrets = [WEBHOOK, HOST, NOTIFICATION, NOTIFICATION.removeprefix("whsec_")]
    secrets += [token for token in house.tokens.values() if token]
    places = {
        "answers": "\n".join(answers),
        "log": written.getvalue() + caplog.text,
        "table": json.dumps(house.snapshot()),
        "objects": _objects(house.state),
    }
    assert all(places.values()) or status == 200, "nothing was looked through"
    found = [(name, secret[:14]) for name, text in places.items() for secret in secrets if secret in text]
    assert found == []


def _everything(house: House, status: int) -> list[str]:
    """All answers. What hosts and receivers are told goes to a server that answers with `status` what it was sent."""
    state, answers = house.state, []
    for route in ROUTES if status == 401 else []:
        if route.method != "DELETE" and "secret" not in route.path:
            answers += [ask(house, route, RULES[said(route)], persona).text for persona in PERSONAS]
    for signature in ("sha256=" + "0" * 64, "", WEBHOOK):
        call = event("POST", f"/hooks/github/{PRIVATE}", "{}", **{"x-hub-signature-256": signature or "x"})
        told = handle_hook(call)
        answers.append(told["body"] if signature != WEBHOOK else told["body"].replace(signature, ""))

    def echo(received: Received) -> tuple[int, dict[str, str], Any]:
        sent = json.dumps(received.headers)
        assert HOST in sent or "webhook-signature" in sent
        return status, {}, {"message": f"no: {received.payload}"}

    with serving(echo) as url:
        state.table.change_repository(PRIVATE, lambda known: known.model_copy(update={
            "api_url": url,
            "notifications": [one.model_copy(update={"target": url, "events": [EventName.RUN_FINISHED]})
                              for one in known.notifications][:1],
        }))  # fmt: skip
        run = state.table.run(house.runs("owner")["ended"])
        repository = state.table.repository(PRIVATE)
        assert run
        assert repository
        answers.append(str(try_out(state, PRIVATE, repository.notifications[0], NOW)))
        for act in (
            lambda: report_run(state, run.id, "message"),
            lambda: notify(state, EventName.RUN_FINISHED, run_event(run), is_last_try=False, at=NOW),
        ):
            try:
                act()
            except HostUnavailableError as error:
                answers.append(repr(error))
    return answers


def _objects(state: State) -> str:
    s3 = clients.s3()
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="trainyard").get("Contents", [])]
    contents = [s3.get_object(Bucket="trainyard", Key=key)["Body"].read().decode("latin-1") for key in keys]
    return "\n".join([*keys, *contents])
