"""The client against a ModelArts that throttles, breaks, keeps silent and has another clock."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from modelarts_fixture import ACCOUNT, AK, PROJECT, SK, client_of, job_body, modelarts
from unit.infra.templates import statements

from infra.local.modelarts.faults import Kind
from infra.local.modelarts.server import ModelArtsServer
from trainyard.compute.contract import SubmissionRefusedError
from trainyard.compute.modelarts import training
from trainyard.compute.modelarts.client import ModelArtsClient, ModelArtsError, UnansweredError
from trainyard.compute.modelarts.credentials import Account, Credentials, Key, assume_agency, web_identity_token
from trainyard.compute.modelarts.training import create_once


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ModelArtsServer]:
    with modelarts(tmp_path) as server:
        yield server


@pytest.fixture
def client(server: ModelArtsServer) -> ModelArtsClient:
    return client_of(server)


def jobs_of(server: ModelArtsServer) -> int:
    return len(server.jobs.named_like("run-"))


@pytest.mark.parametrize("kind", list(Kind))
def test_whatever_becomes_of_the_answer_there_is_one_job(
    server: ModelArtsServer, client: ModelArtsClient, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_LOOK_SECONDS", 0.01)
    server.faults.inject("create", kind)
    body = job_body()
    try:
        created = create_once(client, body)
    except UnansweredError:
        created = create_once(client, body)
    assert created["metadata"]["name"] == "run-1"
    assert create_once(client, body)["metadata"]["id"] == created["metadata"]["id"]
    assert jobs_of(server) == 1


@pytest.mark.parametrize("kind", list(Kind))
def test_reading_is_tried_again(server: ModelArtsServer, client: ModelArtsClient, kind: Kind) -> None:
    made = client.create(job_body())
    server.faults.inject("get", kind, times=2)
    found = client.get(made["metadata"]["id"])
    assert found is not None
    assert found["metadata"]["id"] == made["metadata"]["id"]


def test_tries_end(server: ModelArtsServer, client: ModelArtsClient) -> None:
    server.faults.inject("flavors", Kind.THROTTLED, times=10)
    with pytest.raises(ModelArtsError) as error:
        client.flavors()
    assert (error.value.status, error.value.code) == (429, "APIGW.0308")
    server.faults.inject("engines", Kind.UNANSWERED, times=10)
    with pytest.raises(UnansweredError):
        client.engines()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_off_is_seen_once_and_then_known(
    server: ModelArtsServer, client: ModelArtsClient, hours: int
) -> None:
    server.skew = timedelta(hours=hours)
    assert client.flavors()
    taken = len(server.requests)
    assert client.engines()
    assert len(server.requests) == taken + 1


def test_a_key_that_was_changed_is_taken_up(server: ModelArtsServer) -> None:
    known = json.loads(ACCOUNT)
    client = ModelArtsClient(Credentials(lambda: json.dumps(known)), server.endpoint)
    assert client.flavors()
    known["sk"] = "the new one"
    server.keys = {AK: "the new one"}
    assert client.flavors()


def test_a_wrong_key_is_told_and_not_tried_for_ever(server: ModelArtsServer) -> None:
    wrong = ACCOUNT.replace(SK, "wrong")
    with pytest.raises(ModelArtsError, match="verify aksk"):
        ModelArtsClient(Credentials(lambda: wrong), server.endpoint, pauses=(0.01,)).flavors()


def test_of_a_name_only_the_very_name_is_found(client: ModelArtsClient) -> None:
    for run_id in ("run-1", "run-10", "run-11"):
        create_once(client, job_body(run_id))
    assert [job["metadata"]["name"] for job in client.find("run-1")] == ["run-1"]
    assert client.find("run") == []


def test_more_jobs_than_a_page_are_searched(client: ModelArtsClient) -> None:
    for number in range(52):
        client.create(job_body(f"run-x-{number}", "ok"))
    client.create(job_body("run-x", "ok"))
    assert len(list(client.search("run-x"))) == 53
    assert len(client.find("run-x")) == 1


def test_what_is_unknown_is_none(client: ModelArtsClient) -> None:
    assert client.get("no-such-job") is None
    assert client.log_preview("no-such-job") is None
    assert client.stages("no-such-job") == []
    client.stop("no-such-job")


def test_a_body_that_modelarts_refuses_is_the_users_business(client: ModelArtsClient) -> None:
    body = job_body()
    body["spec"]["resource"]["flavor_id"] = "modelarts.none"
    with pytest.raises(SubmissionRefusedError) as refused:
        create_once(client, body)
    assert "flavor does not exist" in refused.value.reason.en


def test_more_variables_than_modelarts_takes_are_refused() -> None:
    with pytest.raises(SubmissionRefusedError):
        job_body(env={f"V{number}": "1" for number in range(98)})


def test_a_stored_account_that_is_wrong_is_told_without_its_secret() -> None:
    for text in ("no json", '{"ak": "A", "sk": "topsecret"}', '{"project_id": "p", "region": "r", "sk": "topsecret"}'):
        with pytest.raises(RuntimeError) as error:
            _ = Credentials(lambda text=text: text).account
        assert "topsecret" not in str(error.value)
    assert SK not in repr(Credentials(lambda: ACCOUNT).account)


def test_a_temporary_key_is_renewed_before_it_ends_and_its_token_sent(
    server: ModelArtsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    given: list[Key] = []

    def assume(*_: Any) -> Key:
        given.append(Key(access_key=AK, secret_key=SK, security_token="t" * 40, expires_at=now + timedelta(hours=1)))
        return given[-1]

    monkeypatch.setattr("trainyard.compute.modelarts.credentials.assume_agency", assume)
    monkeypatch.setattr("trainyard.compute.modelarts.credentials.web_identity_token", lambda: "token")
    account = {"provider_urn": "p", "agency_urn": "a", "project_id": PROJECT, "region": "cn-north-4"}
    clock = [now]
    credentials = Credentials(lambda: json.dumps(account), now=lambda: clock[0])
    client = ModelArtsClient(credentials, server.endpoint)
    assert client.flavors()
    assert client.flavors()
    assert len(given) == 1
    clock[0] = now + timedelta(minutes=51)
    assert client.flavors()
    assert len(given) == 2


class _Agencies(BaseHTTPRequestHandler):
    """Huawei Cloud's STS: an agency's credentials for a token of AWS's."""

    asked: ClassVar[list[tuple[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        given = {"access_key_id": "TEMP", "secret_access_key": "s", "security_token": "t", "expiration": ends}
        trusted = body["id_token"] == "signed by AWS"
        content = json.dumps({"credentials": given} if trusted else {"error_code": "STS5.0005"}).encode()
        self.send_response(200 if trusted else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_an_agency_gives_credentials_for_what_aws_vouches_for() -> None:
    account = Account(provider_urn="iam::d:provider:aws", agency_urn="iam::d:agency:ty", project_id="p", region="r")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Agencies) as sts:
        threading.Thread(target=sts.serve_forever, args=(0.02,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{sts.server_port}"
        key = assume_agency(account, "signed by AWS", endpoint)
        with pytest.raises(RuntimeError, match="403"):
            assume_agency(account, "signed by nobody", endpoint)
        sts.shutdown()
    assert (key.access_key, key.secret_key, key.security_token) == ("TEMP", "s", "t")
    assert key.expires_at is not None
    assert key.expires_at > datetime.now(UTC) + timedelta(minutes=50)
    path, body = _Agencies.asked[0]
    assert path == "/v5/agencies/assume-with-oidc"
    assert body == {
        "provider_urn": "iam::d:provider:aws", "agency_urn": "iam::d:agency:ty", "agency_session_name": "trainyard",
        "id_token": "signed by AWS", "duration_seconds": 3600,
    }  # fmt: skip


def test_aws_is_asked_to_vouch_for_what_the_role_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audience and the time are those of the condition in both templates; botocore knows the call."""
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("sts", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    wanted = {"Audience": ["sts.myhuaweicloud.com"], "SigningAlgorithm": "RS256", "DurationSeconds": 300}
    monkeypatch.setattr("trainyard.clients.client", lambda name: client)
    with Stubber(client) as stubbed:
        stubbed.add_response(
            "get_web_identity_token", {"WebIdentityToken": "jwt", "Expiration": datetime.now(UTC)}, wanted
        )
        assert web_identity_token() == "jwt"
    allowed = [each for _, _, each in statements() if each["Action"] == "sts:GetWebIdentityToken"]
    assert allowed
    for statement in allowed:
        assert statement["Condition"] == {
            "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": wanted["Audience"][0]},
            "NumericLessThanEquals": {"sts:DurationSeconds": wanted["DurationSeconds"]},
        }
