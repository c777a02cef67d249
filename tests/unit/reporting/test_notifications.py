from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import a_run
from contracts.hosts.api_server import ApiServer
from contracts.hosts.host_contract import server  # noqa: F401
from unit.intake.conftest import make_repository

from trainyard.hosts.contract import HostUnavailableError
from trainyard.hosts.gitlab import GitLab
from trainyard.intake.notifications import MOST, Added, NewNotification, add_notification, remove_notification
from trainyard.model.errors import Conflict, Forbidden, InvalidInput, NotFound, UserError
from trainyard.model.event_name import EventName
from trainyard.model.events import run_event
from trainyard.model.repository import AccessToken, Scope
from trainyard.model.run import FailureReason, RunState
from trainyard.model.settings import Settings
from trainyard.model.text import Text
from trainyard.reporting.notifications import notify, try_out
from trainyard.store import State
from trainyard.store.secrets import notification_secret_name

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ADA = AccessToken(id="a", digest="a", user="ada", scopes=[Scope.WRITE], created_at=NOW)
EVE = ADA.model_copy(update={"user": "eve"})
TOPIC = "arn:aws:sns:us-east-1:123456789012:training"
FAILED = FailureReason(kind="script", message=Text(en="No data.", zh="没有数据。"))


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Settings(allow_loopback_http=True, notification_topics=[TOPIC], public_url="https://train.example")
    for room in ("hosts.addresses", "intake.notifications", "reporting.notifications"):
        monkeypatch.setattr(f"trainyard.{room}.settings", lambda: own)
    monkeypatch.setattr("trainyard.hosts.requests.time.sleep", lambda _: None)


@pytest.fixture
def house(state: State) -> State:
    state.table.create_repository(make_repository())
    state.table.create_run(a_run(project="ada/lenet5", state=RunState.FAILED, failure=FAILED))
    return state


def add(house: State, target: str, *events: EventName) -> Added:
    wanted = NewNotification(target=target, events=list(events) or [EventName.RUN_FINISHED])
    return add_notification(house, "ada/lenet5", ADA, wanted, NOW)


def finish(house: State, *, is_last_try: bool = False) -> None:
    run = house.table.run("run-1")
    assert run is not None
    notify(house, EventName.RUN_FINISHED, run_event(run), is_last_try=is_last_try, at=NOW)


def test_a_webhook_is_told_once_and_can_tell_who_speaks(house: State, server: ApiServer) -> None:  # noqa: F811
    made = add(house, f"{server.url}/hook")
    finish(house)
    finish(house)
    (received,) = server.received
    assert received.payload["type"] == "run.finished"
    told = received.payload["data"]
    assert (told["state"], told["failure"]["en"], told["url"]) == (
        "failed",
        "No data.",
        "https://train.example/runs/run-1",
    )
    # GitLab signs the same way, so what verifies its webhooks verifies ours.
    body = json.dumps(received.payload, ensure_ascii=False).encode()
    GitLab().verify(received.headers, body, made.secret or "", NOW)
    with pytest.raises(UserError):
        GitLab().verify(received.headers, body + b" ", made.secret or "", NOW)


def test_only_what_somebody_wants_to_hear(house: State, server: ApiServer) -> None:  # noqa: F811
    add(house, server.url, EventName.RUN_REJECTED)
    finish(house)
    assert server.received == []


def test_who_could_not_be_reached_is_tried_again_alone(house: State, server: ApiServer) -> None:  # noqa: F811
    add(house, f"{server.url}/first")
    add(house, f"{server.url}/second")
    server.answers[:] = [(503, {})] * 3
    with pytest.raises(HostUnavailableError):
        finish(house)
    assert [one.path for one in server.received] == ["/first"] * 3 + ["/second"]
    finish(house)
    assert [one.path for one in server.received[4:]] == ["/first"]
    assert len({one.headers["webhook-id"] for one in server.received}) == 1


def test_an_address_that_only_its_owner_knows_is_not_repeated(house: State, server: ApiServer) -> None:  # noqa: F811
    add(house, f"{server.url}/services/T0001/B0001/s3cretS3cretS3cret")
    server.answers[:] = [(404, {})]
    server.reply = "Cannot POST /services/T0001/B0001/s3cretS3cretS3cret"
    known = house.table.repository("ada/lenet5")
    assert known is not None
    reason = try_out(house, "ada/lenet5", known.notifications[0], NOW)
    assert "Cannot POST" in (reason or "")
    assert "s3cret" not in (reason or "")


def test_an_address_that_is_gone_fills_no_dead_letter_queue(house: State) -> None:
    add(house, "http://127.0.0.1:1/gone")
    with pytest.raises(HostUnavailableError):
        finish(house)
    finish(house, is_last_try=True)


def test_a_refusal_is_not_repeated(house: State, server: ApiServer) -> None:  # noqa: F811
    add(house, server.url)
    server.answers[:] = [(410, {})]
    finish(house)
    finish(house)
    assert len(server.received) == 1


def test_a_topic_hears_it(house: State) -> None:
    from trainyard import clients

    topic = clients.client("sns", "us-east-1").create_topic(Name="training")["TopicArn"]
    queue = clients.client("sqs").create_queue(QueueName="heard")["QueueUrl"]
    clients.client("sns", "us-east-1").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:heard"
    )
    assert topic == TOPIC
    assert add(house, TOPIC).secret is None
    finish(house)
    finish(house)
    heard = clients.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    (message,) = [json.loads(one["Body"]) for one in heard]
    assert json.loads(message["Message"])["data"]["run_id"] == "run-1"
    assert message["Subject"] == "run.finished: lenet5 failed"


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"target": "ftp://x.example"}, InvalidInput),
        ({"target": "http://x.example/hook"}, InvalidInput),
        ({"target": "https://user:word@x.example/hook"}, InvalidInput),
        ({"target": TOPIC + "2"}, InvalidInput),
        ({"target": "https://x.example", "events": ["push.received"]}, InvalidInput),
    ],
)
def test_what_cannot_be_told(house: State, wanted: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        add_notification(house, "ada/lenet5", ADA, NewNotification.model_validate(wanted), NOW)


def test_whose_it_is(house: State) -> None:
    made = add(house, "https://x.example/hook").notification
    for act in (
        lambda: add_notification(house, "ada/lenet5", EVE, NewNotification(target="https://x.example"), NOW),
        lambda: remove_notification(house, "ada/lenet5", EVE, made.id),
    ):
        with pytest.raises((NotFound, Forbidden)):
            act()
    name = notification_secret_name("ada/lenet5", made.id)
    assert house.secrets.get(name)
    remove_notification(house, "ada/lenet5", ADA, made.id)
    assert house.secrets.get(name) is None
    with pytest.raises(NotFound):
        remove_notification(house, "ada/lenet5", ADA, made.id)


def test_as_many_as_there_may_be(house: State) -> None:
    for number in range(MOST):
        add(house, f"https://x.example/{number}")
    with pytest.raises(Conflict):
        add(house, "https://x.example/more")
    repository = house.table.repository("ada/lenet5")
    assert repository is not None
    assert len(repository.notifications) == MOST


def test_trying_it_out(house: State, server: ApiServer) -> None:  # noqa: F811
    made = add(house, server.url).notification
    assert try_out(house, "ada/lenet5", made, NOW) is None
    assert server.received[0].payload == {
        "type": "test",
        "timestamp": NOW.isoformat(),
        "data": {"project": "ada/lenet5"},
    }
    server.answers[:] = [(404, {})]
    assert "404" in (try_out(house, "ada/lenet5", made, NOW) or "")
