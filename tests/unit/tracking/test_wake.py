"""SMN's word that a job has ended makes us look earlier, if it is SMN's, and is never more than that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import a_run
from hypothesis import given
from hypothesis import strategies as st
from unit.web.conftest import event

from infra.local.modelarts import smn as fake
from infra.local.modelarts.smn import Smn, new_signer, signature
from trainyard import clients
from trainyard.compute.modelarts import smn
from trainyard.hosts.contract import HostUnavailableError
from trainyard.model.errors import InvalidInput, Unauthenticated
from trainyard.model.run import Job, RunState
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.tracking import wake
from trainyard.web import hooks

TOPIC = "urn:smn:cn-north-4:77b6a44cba5143ab91d13ab9a8ff44fd:trainyard"
RUN = "run-01j8x5e2kq7m3n5p7r9t1v"
NOW = datetime.now(UTC)


class Rig:
    """The route, with SMN as the embedded stack plays it, and the calls that came of it."""

    def __init__(self, smn: Smn, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
        self.smn, self.state, self._patch = smn, state, monkeypatch
        self.woken: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.told()

    def told(self, **settings: Any) -> None:
        known = {
            "smn_topic": TOPIC, "smn_endpoint": self.smn.endpoint, "sweep_function": "the-sweep",
            "allow_loopback_http": True, **settings,
        }  # fmt: skip
        for room in ("tracking.wake", "hosts.addresses"):
            self._patch.setattr(f"trainyard.{room}.settings", lambda: Settings(**known))

    def invoke(self, **call: Any) -> None:
        assert (call["FunctionName"], call["InvocationType"]) == ("the-sweep", "Event")
        if self.failure:
            raise self.failure
        self.woken.append(json.loads(call["Payload"]))

    def post(self, message: dict[str, Any] | bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        answer = hooks.handle_hook(event("POST", hooks.SMN_PATH, body, **headers))
        return answer["statusCode"], json.loads(answer["body"])

    def notification(self, text: str = f"The training job {RUN} is Completed.", **fields: str) -> dict[str, Any]:
        return self.smn.message("Notification", subject="ModelArts", message=text, **fields)


@pytest.fixture
def rig(state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(hooks, "state", lambda: state)
    monkeypatch.setattr(wake, "_certificates", {})
    with Smn(TOPIC) as served:
        made = Rig(served, state, monkeypatch)
        others = clients.client
        monkeypatch.setattr(clients, "client", lambda name: made if name == "lambda" else others(name))
        yield made


def test_a_signed_message_wakes_the_look_at_that_run_and_moves_nothing_itself(rig: Rig) -> None:
    job = Job(backend="modelarts", id=RUN, queue="ascend")
    rig.state.table.create_run(a_run(RUN, state=RunState.RUNNING, job=job, attempt=1))
    assert rig.post(rig.notification()) == (202, {"kind": "woken"})
    assert rig.woken == [{"watch": True, "runs": [RUN]}]
    known = rig.state.table.run(RUN)
    assert known is not None
    assert known.state is RunState.RUNNING


def test_a_message_that_names_no_run_wakes_the_look_at_all(rig: Rig) -> None:
    assert rig.post(rig.notification("a job has ended"))[0] == 202
    assert rig.woken == [{"watch": True, "runs": []}]


def test_the_same_message_again_does_nothing(rig: Rig) -> None:
    message = rig.notification()
    rig.post(message)
    assert rig.post(message) == (202, {"kind": "repeated"})
    assert len(rig.woken) == 1


def test_a_look_that_could_not_be_asked_for_is_asked_for_when_it_is_sent_again(rig: Rig) -> None:
    message = rig.notification()
    rig.failure = RuntimeError("throttled")
    assert rig.post(message)[0] == 500
    rig.failure = None
    assert rig.post(message) == (202, {"kind": "woken"})


def test_without_a_topic_the_route_does_nothing(rig: Rig) -> None:
    rig.told(smn_topic="")
    assert rig.post(rig.notification())[0] == 404
    assert rig.smn.asked == []


def test_no_token_stands_for_a_signature(rig: Rig) -> None:
    from trainyard.model.repository import Scope
    from trainyard.store.access import issue_token

    secret, _ = issue_token(rig.state.table, "root", [Scope.OPERATE])
    forged = rig.notification() | {"message": f"{RUN} and others"}
    assert rig.post(forged, authorization=f"Bearer {secret}")[0] == 401
    assert rig.woken == []


def other_key(rig: Rig) -> dict[str, Any]:
    message = rig.notification()
    return message | {"signature": signature(message, new_signer()[0])}


WITHOUT_A_QUESTION = {
    "another topic": lambda rig: rig.notification(topic_urn=TOPIC + "2"),
    "too old": lambda rig: rig.notification(timestamp=(NOW - timedelta(hours=1)).isoformat()),
    "from tomorrow": lambda rig: rig.notification(timestamp=(NOW + timedelta(days=1)).isoformat()),
    "a foreign host": lambda rig: rig.notification(
        signing_cert_url=f"https://evil.example/smn/{rig.smn.certificate_name}"
    ),
    "a host that begins like SMN's": lambda rig: rig.notification(
        signing_cert_url=f"{rig.smn.endpoint}.evil.example/smn/{rig.smn.certificate_name}"
    ),
    "a user before the host": lambda rig: rig.notification(
        signing_cert_url=rig.smn.endpoint + f"@evil.example/smn/{rig.smn.certificate_name}"
    ),
    "another place of its host": lambda rig: rig.notification(
        signing_cert_url=f"{rig.smn.endpoint}/smn/../bucket/{rig.smn.certificate_name}"
    ),
    "the metadata service": lambda rig: rig.notification(signing_cert_url="http://169.254.169.254/latest/meta-data/"),
}
FORGED = {
    "another key": other_key,
    "another message": lambda rig: rig.notification() | {"message": "run-0000000000000000000000"},
    "another subject": lambda rig: rig.notification() | {"subject": "x"},
    "no signature at all": lambda rig: rig.notification() | {"signature": ""},
    "no base 64": lambda rig: rig.notification() | {"signature": "ä"},
    "another time": lambda rig: rig.notification() | {"timestamp": (NOW - timedelta(minutes=1)).isoformat()},
    "a certificate that is not there": lambda rig: rig.notification(
        signing_cert_url=f"{rig.smn.endpoint}/smn/SMN_cn-north-4_{'0' * 32}.pem"
    ),
}


@pytest.mark.parametrize("kind", WITHOUT_A_QUESTION)
def test_what_cannot_be_smns_is_refused_before_anything_is_fetched(rig: Rig, kind: str) -> None:
    assert rig.post(WITHOUT_A_QUESTION[kind](rig))[0] == 401
    assert (rig.woken, rig.smn.asked) == ([], [])


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_not_signed_by_smn_is_refused(rig: Rig, kind: str) -> None:
    assert rig.post(FORGED[kind](rig))[0] == 401
    assert rig.woken == []


def test_a_redirect_to_a_certificate_is_not_followed(rig: Rig) -> None:
    rig.smn.redirect = f"{rig.smn.endpoint}/elsewhere"
    assert rig.post(rig.notification())[0] == 401
    assert rig.smn.asked == [f"/smn/{rig.smn.certificate_name}"]
    assert rig.woken == []


@pytest.mark.parametrize("made", [{"valid_for": timedelta(minutes=-1)}, {"bits": 1024}])
def test_a_certificate_that_has_ended_or_is_weak_signs_nothing(rig: Rig, made: dict[str, Any]) -> None:
    rig.smn.key, rig.smn.certificate = new_signer(**made)
    assert rig.post(rig.notification())[0] == 401
    assert rig.woken == []


def test_a_pinned_certificate_is_the_only_one(rig: Rig) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    own = x509.load_pem_x509_certificate(rig.smn.certificate).public_bytes(Encoding.DER)
    rig.told(smn_certificates=["0" * 64])
    assert rig.post(rig.notification())[0] == 401
    rig.told(smn_certificates=["0" * 64, hashlib.sha256(own).hexdigest()])
    assert rig.post(rig.notification())[0] == 202


def test_the_certificate_is_fetched_once(rig: Rig) -> None:
    for _ in range(3):
        rig.post(rig.notification())
    assert rig.smn.asked == [f"/smn/{rig.smn.certificate_name}"]


def test_smn_that_is_away_is_no_refusal(rig: Rig) -> None:
    """It will send the message again; 401 would end that."""
    away = "http://127.0.0.1:1"
    rig.told(smn_endpoint=away)
    message = rig.notification(signing_cert_url=f"{away}/smn/{rig.smn.certificate_name}")
    with pytest.raises(HostUnavailableError):
        wake.hear(rig.state, json.dumps(message).encode(), datetime.now(UTC))


def confirmation(rig: Rig, url: str) -> dict[str, Any]:
    return rig.smn.message("SubscriptionConfirmation", message="You are invited", subscribe_url=url)


def confirm_url(rig: Rig, root: str | None = None, topic: str = TOPIC) -> str:
    root = rig.smn.endpoint if root is None else root
    return f"{root}/smn/subscription/confirm?token=abc&topic_urn={topic}&region=cn-north-4"


def test_a_subscription_is_confirmed_where_smn_is(rig: Rig) -> None:
    rig.smn._tokens["abc"] = "here"
    assert rig.post(confirmation(rig, confirm_url(rig))) == (202, {"kind": "confirmed"})
    assert rig.smn.confirmed == ["here"]
    assert rig.woken == []


@pytest.mark.parametrize(
    "url",
    [
        lambda rig: confirm_url(rig, "https://evil.example"),
        lambda rig: confirm_url(rig, "http://169.254.169.254"),
        lambda rig: confirm_url(rig, "https://console.huaweicloud.com.evil.example"),
        lambda rig: confirm_url(rig, rig.smn.endpoint + "@evil.example"),
        lambda rig: confirm_url(rig, topic=TOPIC + "2"),
        lambda rig: confirm_url(rig) + "&x=\r\nHost: evil",
        lambda rig: f"{rig.smn.endpoint}/other?topic_urn={TOPIC}",
        lambda rig: "",
    ],
)
def test_a_subscription_that_leads_elsewhere_is_not_confirmed(rig: Rig, url: Any) -> None:
    assert rig.post(confirmation(rig, url(rig)))[0] == 401
    assert rig.smn.asked == [f"/smn/{rig.smn.certificate_name}"]


def test_a_subscription_that_is_not_signed_is_not_confirmed(rig: Rig) -> None:
    rig.smn._tokens["abc"] = "here"
    message = confirmation(rig, "https://other.example/") | {"subscribe_url": confirm_url(rig)}
    assert rig.post(message)[0] == 401
    assert rig.smn.confirmed == []


def test_a_redirect_of_the_confirmation_is_not_followed(rig: Rig) -> None:
    rig.post(rig.notification())  # the certificate is known
    rig.smn.redirect = f"{rig.smn.endpoint}/elsewhere"
    assert rig.post(confirmation(rig, confirm_url(rig)))[0] == 401
    assert [path.partition("?")[0] for path in rig.smn.asked[1:]] == ["/smn/subscription/confirm"]


def test_a_subscription_that_ends_is_only_noted(rig: Rig) -> None:
    message = rig.smn.message("UnsubscribeConfirmation", message="gone", subscribe_url=confirm_url(rig))
    assert rig.post(message) == (202, {"kind": "ignored"})
    assert [path.partition("?")[0] for path in rig.smn.asked] == [f"/smn/{rig.smn.certificate_name}"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type": "Other"}', b"\xff", b"x" * 700_000])
def test_what_is_no_message_of_smn(rig: Rig, body: bytes) -> None:
    assert rig.post(body)[0] in (413, 422)


def test_huaweis_own_addresses_are_those_of_the_topics_region() -> None:
    topic = smn.Topic(TOPIC)
    own = {
        "type": "SubscriptionConfirmation", "message_id": "1", "topic_urn": TOPIC, "message": "m", "signature": "",
        "timestamp": "2026-01-01T00:00:00Z", "signature_version": "v1",
        "signing_cert_url": f"https://smn.cn-north-4.myhuaweicloud.com/smn/SMN_cn-north-4_{'a' * 32}.pem",
    }  # fmt: skip

    def message(**fields: str) -> smn.Message:
        return smn.Message.model_validate(own | fields)

    assert topic.certificate_address(message()) == own["signing_cert_url"]
    for host in ("console.huaweicloud.com", "cn-north-4-console.huaweicloud.com", "smn.cn-north-4.myhuaweicloud.com"):
        url = f"https://{host}/smn/subscription/confirm?token=a&topic_urn={TOPIC}"
        assert topic.confirmation_address(message(subscribe_url=url))[0] == url.partition("?")[0]
    for wrong in (
        f"https://smn.cn-south-1.myhuaweicloud.com/smn/SMN_cn-south-1_{'a' * 32}.pem",
        own["signing_cert_url"].replace("https", "http"),
        own["signing_cert_url"].replace("smn.", "smn-", 1),
        own["signing_cert_url"] + "?x",
    ):
        with pytest.raises(Unauthenticated):
            topic.certificate_address(message(signing_cert_url=wrong))


HOSTILE = st.sampled_from(
    [None, "", 0, "x", "\n\r\0", "\ud800", "-" * 9000, [], {}, "9999-12-31T23:59:59Z", "0001-01-01"]
)


@given(st.dictionaries(st.sampled_from([*smn.Message.model_fields, "other"]), HOSTILE))
def test_no_body_is_an_error_of_ours(fields: dict[str, Any]) -> None:
    own = {
        "type": "Notification", "message_id": "1", "topic_urn": TOPIC, "message": "m", "signature": "aaaa",
        "timestamp": NOW.isoformat(), "signature_version": "v1", "signing_cert_url": "https://x.example/",
    }  # fmt: skip
    with pytest.raises((InvalidInput, Unauthenticated)):
        smn.verify(smn.read(json.dumps(own | fields).encode(), smn.Topic(TOPIC), NOW), fake_certificate(), [], NOW)


_MADE: list[bytes] = []


def fake_certificate() -> bytes:
    if not _MADE:
        _MADE.append(fake.new_signer()[1])
    return _MADE[0]
