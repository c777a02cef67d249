"""What every git host must do. Each host's test inherits this class and supplies its own payloads and signatures."""

from __future__ import annotations

import base64
import html
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from builders import a_repository
from contracts.hosts.api_server import ApiServer, Received, api_server, serving
from contracts.hosts.host_server import GUEST_TOKEN, OWNER_TOKEN, HostServer, host_server
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from trainyard.hosts.contract import (
    CommitState,
    CommitStatus,
    GitHost,
    HostRefusedError,
    HostUnavailableError,
    Ignored,
    Ping,
    Pushed,
    PushedRef,
)
from trainyard.hosts.redaction import MASK
from trainyard.hosts.registry import host
from trainyard.intake.deliveries import receive_delivery
from trainyard.model.errors import InvalidInput, Unauthenticated, UserError
from trainyard.model.repository import Repository, RepositoryKind
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.store.secrets import webhook_secret_name

DATA = Path(__file__).parents[2] / "data" / "hosts"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = "a secret with ünïcode"
STATUS = CommitStatus(
    sha="6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    state=CommitState.SUCCESS,
    context="trainyard/lenet5",
    description="Succeeded: accuracy 0.98",
    target_url="https://trainyard.example/runs/run-1",
)


@dataclass(frozen=True)
class Sample:
    """A delivery as the host sends it, without its signature."""

    headers: dict[str, str]
    body: bytes


def payload(path: str) -> bytes:
    return (DATA / path).read_bytes()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """Loopback is allowed and pauses take no time while this is in use."""
    monkeypatch.setattr("trainyard.hosts.addresses.settings", lambda: Settings(allow_loopback_http=True))
    monkeypatch.setattr("trainyard.hosts.requests._pause", lambda *_: 0.0)
    with api_server() as running:
        yield running


class WebhookContract(ABC):
    """Hosts that send webhooks over HTTP."""

    name: ClassVar[str]
    signs_body: ClassVar[bool] = True
    secret: ClassVar[str] = SECRET

    @abstractmethod
    def sign(self, body: bytes, secret: str) -> dict[str, str]:
        """The headers of the host's signature at NOW."""

    @abstractmethod
    def branch_push(self) -> tuple[Sample, PushedRef]: ...

    @abstractmethod
    def tag_push(self) -> tuple[Sample, PushedRef]: ...

    @abstractmethod
    def deletion(self) -> Sample: ...

    @abstractmethod
    def ping(self) -> Sample | None:
        """None where the host has no ping."""

    @abstractmethod
    def other_event(self) -> Sample: ...

    @property
    def host(self) -> GitHost:
        return host(self.name)

    def test_the_registry_knows_it_by_its_name(self) -> None:
        assert self.host.name == self.name

    def test_takes_its_own_signature(self) -> None:
        sample, _ = self.branch_push()
        self.host.verify(sample.headers | self.sign(sample.body, self.secret), sample.body, self.secret, NOW)

    def test_header_names_come_in_any_case(self) -> None:
        sample, pushed = self.branch_push()
        headers = {
            name.upper(): value for name, value in (sample.headers | self.sign(sample.body, self.secret)).items()
        }
        self.host.verify(headers, sample.body, self.secret, NOW)
        assert self.host.read(headers, sample.body) == Pushed([pushed])

    def test_refuses_another_secret(self) -> None:
        sample, _ = self.branch_push()
        with pytest.raises(Unauthenticated):
            self.host.verify(sample.headers | self.sign(sample.body, "another"), sample.body, self.secret, NOW)

    def test_refuses_an_empty_secret(self) -> None:
        sample, _ = self.branch_push()
        with pytest.raises(Unauthenticated):
            self.host.verify(sample.headers | self.sign(sample.body, ""), sample.body, "", NOW)

    def test_refuses_a_delivery_without_a_signature(self) -> None:
        sample, _ = self.branch_push()
        with pytest.raises(Unauthenticated):
            self.host.verify(sample.headers, sample.body, self.secret, NOW)

    def test_refuses_a_changed_body(self) -> None:
        if not self.signs_body:
            pytest.skip("this host's signature does not cover the body")
        sample, _ = self.branch_push()
        headers = sample.headers | self.sign(sample.body, self.secret)
        with pytest.raises(Unauthenticated):
            self.host.verify(headers, sample.body + b" ", self.secret, NOW)

    def test_a_delivery_that_is_replayed_is_one_push(self, state: State) -> None:
        sample, _ = self.branch_push()
        headers = sample.headers | self.sign(sample.body, self.secret)
        for name, secret in (("ada/mine", self.secret), ("ada/other", "whsec_" + "b3RoZXIgc2VjcmV0IQ==")):
            state.table.create_repository(a_repository(name, host=self.name))
            state.secrets.put(webhook_secret_name(name), secret)
        first = receive_delivery(state, self.name, "ada/mine", headers, sample.body, NOW)
        again = receive_delivery(state, self.name, "ada/mine", headers, sample.body, NOW + timedelta(seconds=30))
        assert (first.kind, again.kind, again.pushes) == ("push", "repeated", first.pushes)
        with pytest.raises(Unauthenticated):  # at another project's address
            receive_delivery(state, self.name, "ada/other", headers, sample.body, NOW)
        assert [push.id for push in state.table.pushes_of("ada/mine").rows] == first.pushes
        assert state.table.pushes_of("ada/other").rows == []

    @pytest.mark.parametrize("junk", ["", "x", "sha256=", "v1,", "\ud800", "ä" * 64, "0" * 64])
    def test_refuses_a_malformed_signature(self, junk: str) -> None:
        sample, _ = self.branch_push()
        for name in self.sign(sample.body, self.secret):
            headers = sample.headers | self.sign(sample.body, self.secret) | {name: junk}
            with pytest.raises(Unauthenticated):
                self.host.verify(headers, sample.body, self.secret, NOW)

    def test_reads_a_branch(self) -> None:
        sample, pushed = self.branch_push()
        assert self.host.read(sample.headers, sample.body) == Pushed([pushed])

    def test_reads_a_tag(self) -> None:
        sample, pushed = self.tag_push()
        assert pushed.ref.startswith("refs/tags/")
        assert self.host.read(sample.headers, sample.body) == Pushed([pushed])

    def test_a_force_push_is_a_push(self) -> None:
        sample, _ = self.branch_push()
        body = json.dumps(json.loads(sample.body) | {"before": "b" * 40, "after": "a" * 40, "forced": True}).encode()
        read = self.host.read(sample.headers, body)
        assert isinstance(read, Pushed)
        assert [(each.before, each.after) for each in read.refs] == [("b" * 40, "a" * 40)]

    def test_a_deletion_starts_nothing(self) -> None:
        sample = self.deletion()
        assert isinstance(self.host.read(sample.headers, sample.body), Ignored)

    def test_answers_a_ping(self) -> None:
        sample = self.ping()
        if sample is None:
            pytest.skip("this host sends no ping")
        assert self.host.read(sample.headers, sample.body) == Ping()

    def test_ignores_other_events(self) -> None:
        sample = self.other_event()
        assert isinstance(self.host.read(sample.headers, sample.body), Ignored)

    @pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000, b'{"ref": 5}', b"{}"])
    def test_a_body_that_is_none_of_its_own_is_a_clear_error(self, body: bytes) -> None:
        sample, _ = self.branch_push()
        with pytest.raises(InvalidInput) as caught:
            self.host.read(sample.headers, body)
        assert caught.value.message.en
        assert caught.value.message.zh

    def test_a_damaged_payload_is_never_a_crash(self) -> None:
        # A function of its own for each host: Hypothesis keeps what it learns by function.
        check = hypothesis_settings(max_examples=40)(given(data=st.data())(self._damaged))
        check()

    def _damaged(self, data: st.DataObject) -> None:
        sample, _ = self.branch_push()
        junk = st.one_of(
            st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.just({}), st.just([]), st.just("\ud800")
        )
        known: dict[str, Any] = json.loads(sample.body)
        keys = data.draw(st.lists(st.sampled_from(sorted(known)), max_size=4))
        body = json.dumps(known | {key: data.draw(junk) for key in keys}).encode()
        try:
            read = self.host.read(sample.headers, body)
        except UserError:
            return
        if isinstance(read, Pushed):
            for pushed in read.refs:
                assert pushed.ref.startswith(("refs/heads/", "refs/tags/"))
                assert len(pushed.after) in (40, 64)
                assert f"{pushed}".encode()


class FetchContract(ABC):
    name: ClassVar[str]
    clone_url: ClassVar[str]

    def repository(self, **changes: Any) -> Repository:
        known = Repository(
            full_name="octo/hello",
            kind=RepositoryKind.PROJECT,
            host=self.name,
            clone_url=self.clone_url,
            owner="octo",
            created_at=NOW,
        )
        return known.model_copy(update=changes)

    def test_fetches_from_the_registered_address(self) -> None:
        address = host(self.name).fetch_address(self.repository(), None)
        assert address.url == self.clone_url
        assert address.headers == {}

    def test_the_token_is_in_a_header_and_in_no_text(self) -> None:
        address = host(self.name).fetch_address(self.repository(), "s3cret-token")
        assert "s3cret-token" not in address.url
        assert "s3cret-token" not in repr(address)
        assert address.headers["Authorization"].startswith("Basic ")

    @pytest.mark.parametrize(
        "url",
        [
            "http://github.com/octo/hello.git",
            "http://127.0.0.1/octo/hello.git",
            "file:///etc/passwd",
            "ssh://git@github.com/octo/hello.git",
            "git@github.com:octo/hello.git",
            "ext::sh -c touch%20/tmp/x",
            "https://user:pass@github.com/octo/hello.git",
            "https:///octo/hello.git",
            "https://github.com/a.git --upload-pack=x",
            "https://github.com/a.git?x=1",
            "-oProxyCommand=x",
            "https://host:port/a.git",
            "https://[::1/a.git",
            "",
        ],
    )
    def test_fetches_from_nowhere_else(self, url: str) -> None:
        with pytest.raises(InvalidInput):
            host(self.name).fetch_address(self.repository(clone_url=url), None)


class StatusContract(FetchContract):
    """Hosts that are told over HTTPS how a commit fared."""

    says_all_states: ClassVar[bool] = True
    """False where some states share a word, or are not told at all."""
    hook_address: ClassVar[str]
    """Path of the request that makes a webhook."""

    @abstractmethod
    def told(self, received: Received) -> CommitStatus:
        """The status as the host would have understood the request."""

    @abstractmethod
    def hook(self, received: Received) -> tuple[str, str]:
        """Address and secret of the webhook that the request makes."""

    def local(self, server: ApiServer) -> Repository:
        return self.repository(api_url=server.url)

    def test_makes_a_webhook_for_pushes(self, server: ApiServer) -> None:
        made = host(self.name).create_webhook(self.local(server), "user:s3cret", "https://trainyard.example/hooks", "k")
        assert made
        asked, made_with = server.received
        assert (asked.method, asked.path) == ("GET", f"{self.hook_address}?per_page=100")
        assert (made_with.method, made_with.path) == ("POST", self.hook_address)
        assert self.hook(made_with) == ("https://trainyard.example/hooks", "k")

    @pytest.mark.parametrize("state", list(CommitState))
    def test_reports_each_state(self, server: ApiServer, state: CommitState) -> None:
        if not self.says_all_states:
            pytest.skip("its own test says which state becomes which word")
        status = CommitStatus(STATUS.sha, state, STATUS.context, STATUS.description, STATUS.target_url)
        host(self.name).report_status(self.local(server), "user:s3cret", status)
        assert [self.told(received) for received in server.received] == [status]

    @pytest.fixture
    def git_host(self, server: ApiServer) -> Iterator[HostServer]:
        with host_server(self.name) as running:
            yield running

    def hello(self, git_host: HostServer) -> Repository:
        return self.repository(clone_url=f"https://{self.name}.example/octo/hello.git", api_url=git_host.url)

    def test_tells_the_default_branch_to_who_may_read(self, git_host: HostServer) -> None:
        assert host(self.name).default_branch(self.hello(git_host), f"octo:{GUEST_TOKEN}") == "trunk"

    def test_a_wrong_token_and_a_wrong_name_are_told_apart(self, git_host: HostServer) -> None:
        with pytest.raises(HostRefusedError) as wrong_token:
            host(self.name).default_branch(self.hello(git_host), "wrong-s3cret")
        elsewhere = self.hello(git_host).model_copy(update={"clone_url": "https://h.example/octo/other.git"})
        with pytest.raises(HostRefusedError) as wrong_name:
            host(self.name).default_branch(elsewhere, OWNER_TOKEN)
        assert (wrong_token.value.status, wrong_name.value.status) == (401, 404)
        assert "s3cret" not in f"{wrong_token.value} {wrong_name.value}"

    def test_a_webhook_that_is_made_again_is_the_same_with_the_new_secret(self, git_host: HostServer) -> None:
        for secret in ("old", "new"):
            assert host(self.name).create_webhook(self.hello(git_host), OWNER_TOKEN, "https://t.example/h", secret)
        assert host(self.name).create_webhook(self.hello(git_host), OWNER_TOKEN, "https://t.example/other", "k")
        assert len(git_host.hooks) == 2
        assert "new" in json.dumps(git_host.hooks[1])
        assert "old" not in json.dumps(git_host.hooks[1])

    def test_a_token_that_may_only_read_makes_no_webhook(self, git_host: HostServer) -> None:
        with pytest.raises(HostRefusedError) as caught:
            host(self.name).create_webhook(self.hello(git_host), GUEST_TOKEN, "https://t.example/h", "k")
        assert caught.value.status in (403, 404)
        assert git_host.hooks == {}

    def test_takes_away_the_webhooks_to_its_address_and_no_other(self, git_host: HostServer) -> None:
        for address in ("https://t.example/h", "https://t.example/h2"):
            assert host(self.name).create_webhook(self.hello(git_host), OWNER_TOKEN, address, "k")
        for _ in range(2):
            host(self.name).remove_webhook(self.hello(git_host), OWNER_TOKEN, "https://t.example/h")
            assert (list(git_host.hooks), git_host.deleted) == ([2], [1])
        git_host.keep("https://t.example/h2")
        host(self.name).remove_webhook(self.hello(git_host), OWNER_TOKEN, "https://t.example/h2")
        assert git_host.hooks == {}

    def test_a_token_that_may_only_read_takes_no_webhook_away(self, git_host: HostServer) -> None:
        assert host(self.name).create_webhook(self.hello(git_host), OWNER_TOKEN, "https://t.example/h", "k")
        with pytest.raises(HostRefusedError):
            host(self.name).remove_webhook(self.hello(git_host), GUEST_TOKEN, "https://t.example/h")
        assert list(git_host.hooks) == [1]

    def test_a_webhook_that_somebody_else_took_away_meanwhile_is_gone_as_well(self, server: ApiServer) -> None:
        address = "https://t.example/h"
        server.reply = [{"id": 7, "url": address, "config": {"url": address}}]
        server.answers = [(200, {}), (404, {})]
        host(self.name).remove_webhook(self.local(server), "s3cret", address)
        asked = [(one.method, one.path.partition("?")[0]) for one in server.received]
        assert asked == [("GET", self.hook_address), ("DELETE", f"{self.hook_address}/7")]

    def test_taking_a_webhook_away_comes_to_an_end(self, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        address = "https://t.example/h"
        server.reply = [{"id": number, "url": address, "config": {"url": address}} for number in range(1, 90)]
        monkeypatch.setattr("trainyard.hosts.webhooks._REMOVAL_SECONDS", -1.0)
        with pytest.raises(HostUnavailableError):
            host(self.name).remove_webhook(self.local(server), "s3cret", address)
        assert [one.method for one in server.received] == ["GET"]

    @pytest.mark.parametrize("status", [422, 503])
    def test_what_a_host_repeats_of_what_it_was_sent_is_not_repeated(self, server: ApiServer, status: int) -> None:
        token, secret = "glpat-x+/y&<z>s3cret", "whsec_aG9vay1zM2NyZXQ="
        address, there = "https://t.example/h", self.local(server)

        def echo(received: Received) -> tuple[int, dict[str, str], Any]:
            credentials = [received.headers.get(name) for name in ("authorization", "private-token")]
            said = json.dumps([credentials, received.payload])
            if received.method == "GET" and "/hooks" in received.path:
                return 200, {}, []
            return status, {}, [said, quote(said), html.escape(said), base64.b64encode(said.encode()).decode()]

        with serving(echo) as url:
            there = there.model_copy(update={"api_url": url})
            for act in (
                lambda: host(self.name).report_status(there, f"octo:{token}", STATUS),
                lambda: host(self.name).default_branch(there, token),
                lambda: host(self.name).create_webhook(there, token, address, secret),
            ):
                with pytest.raises((HostRefusedError, HostUnavailableError)) as caught:
                    act()
                told = f"{caught.value!r} {caught.value} {getattr(caught.value, 'answer', '')}"
                assert MASK in told
                for one in (token, secret, secret[6:]):
                    for form in (
                        one,
                        quote(one, safe=""),
                        html.escape(one),
                        base64.b64encode(one.encode()).decode()[:-4],
                    ):
                        assert form not in told

    def test_a_token_that_no_header_may_hold_is_in_no_error(self, server: ApiServer) -> None:
        for token in ("two\nlines-s3cret", "令牌-s3cret"):
            with pytest.raises(HostRefusedError) as caught:
                host(self.name).report_status(self.local(server), token, STATUS)
            assert "s3cret" not in f"{caught.value!r} {caught.value}"
        assert server.received == []

    def test_a_host_that_asks_for_more_patience_than_there_is_is_left_alone(self, server: ApiServer) -> None:
        server.answers = [(429, {"Retry-After": "3600"})] * 3
        with pytest.raises(HostUnavailableError):
            host(self.name).report_status(self.local(server), "s3cret", STATUS)
        assert len(server.received) == 1

    def test_too_many_requests_may_also_be_called_forbidden(self, server: ApiServer) -> None:
        server.answers = [(403, {"Retry-After": "1"}), (403, {"X-RateLimit-Remaining": "0"})]
        host(self.name).report_status(self.local(server), "s3cret", STATUS)
        assert len(server.received) == 3

    def test_tries_again_after_a_fault_that_passes(self, server: ApiServer) -> None:
        server.answers = [(502, {}), (429, {"Retry-After": "1"})]
        host(self.name).report_status(self.local(server), "s3cret", STATUS)
        assert [self.told(received) for received in server.received] == [STATUS] * 3

    def test_gives_up_after_a_few_tries(self, server: ApiServer) -> None:
        server.answers = [(503, {})] * 10
        with pytest.raises(HostUnavailableError):
            host(self.name).report_status(self.local(server), "s3cret", STATUS)
        assert len(server.received) == 3

    @pytest.mark.parametrize("status", [401, 403, 404, 422])
    def test_a_refusal_is_not_tried_again(self, server: ApiServer, status: int) -> None:
        server.answers = [(status, {})] * 10
        with pytest.raises(HostRefusedError) as caught:
            host(self.name).report_status(self.local(server), "s3cret-token", STATUS)
        assert len(server.received) == 1
        assert "s3cret-token" not in str(caught.value)

    def test_a_redirect_is_not_followed(self, server: ApiServer) -> None:
        server.answers = [(307, {"Location": f"{server.url}/elsewhere"})]
        with pytest.raises(HostRefusedError):
            host(self.name).report_status(self.local(server), "s3cret", STATUS)
        assert len(server.received) == 1

    def test_a_host_that_is_away_is_unavailable(self, server: ApiServer) -> None:
        with pytest.raises(HostUnavailableError):
            # Port 9 (discard) is answered by nobody.
            host(self.name).report_status(self.repository(api_url="http://127.0.0.1:9"), "s3cret", STATUS)

    def test_goes_only_where_it_may(self) -> None:
        with pytest.raises(InvalidInput):
            host(self.name).report_status(self.repository(api_url="http://169.254.169.254"), "s3cret", STATUS)


__all__ = ["NOW", "SECRET", "STATUS", "Sample", "StatusContract", "WebhookContract", "payload", "server"]
