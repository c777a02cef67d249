"""What every registry must do, held against a registry that keeps the distribution API and one that answers as ECR."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

import boto3
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from registry_fake import ACCOUNT, FakeRegistry, digest_of, layer, registry_fake

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.model.errors import InvalidInput
from trainyard.model.registry_login import RegistryCredentials
from trainyard.model.settings import Settings
from trainyard.registries.contract import OCI_INDEX, ImageMissingError, LoginRefusedError, Registry
from trainyard.registries.ecr import EcrHost, EcrRegistry, ecr_host
from trainyard.registries.oci import OciRegistry
from trainyard.registries.registry import registry

LAYER = layer({"etc/hello": b"hello"})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    for place in ("trainyard.hosts.addresses.settings", "trainyard.registries.oci.settings"):
        monkeypatch.setattr(place, lambda: Settings(allow_loopback_http=True))
    monkeypatch.setattr("trainyard.hosts.requests._pause", lambda *_: 0.0)
    with registry_fake() as fake:
        yield fake


@dataclass
class Here:
    fake: FakeRegistry
    registry: Registry


@pytest.fixture(params=["oci", "ecr"])
def here(request: pytest.FixtureRequest, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> Here:
    if request.param == "oci":
        return Here(fake, OciRegistry(fake.host))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = boto3.client("ecr", endpoint_url=f"http://{fake.host}", region_name="us-east-1")
    return Here(fake, EcrRegistry(EcrHost(ACCOUNT, "us-east-1"), client))


def test_a_tag_and_its_digest_are_one_manifest(here: Here) -> None:
    digest = here.fake.push("team/train", "v1", [LAYER])
    by_tag = here.registry.manifest("team/train", "v1")
    assert (by_tag.digest, by_tag.kind) == (digest, OCI_INDEX)
    assert here.registry.manifest("team/train", digest) == by_tag


def test_a_tag_that_moves_is_what_it_is_now(here: Here) -> None:
    first = here.fake.push("team/train", "latest", [LAYER])
    second = here.fake.push("team/train", "latest", [LAYER, LAYER])
    assert here.registry.manifest("team/train", "latest").digest == second != first
    assert here.registry.manifest("team/train", first).digest == first


def test_contents_are_read_wherever_they_lie(here: Here) -> None:
    here.fake.push("team/train", "v1", [LAYER])
    for here.fake.redirects in (True, False):
        with here.registry.blob("team/train", digest_of(LAYER)) as content:
            pieces = list(iter(lambda: content.read(10), b""))
        assert b"".join(pieces) == LAYER


def test_what_is_not_there_or_not_ours(here: Here) -> None:
    here.fake.push("team/train", "v1", [LAYER])
    here.fake.push("team/secret", "v1", [LAYER])
    here.fake.private.add("team/secret")
    for name, reference in (("team/train", "v2"), ("team/other", "v1"), ("team/secret", "v1"),
                            ("team/train", "sha256:" + "0" * 64)):  # fmt: skip
        with pytest.raises(ImageMissingError):
            here.registry.manifest(name, reference)
    with pytest.raises(ImageMissingError), here.registry.blob("team/train", "sha256:" + "0" * 64):
        pass


def test_another_content_under_a_digest_is_noticed(here: Here) -> None:
    digest = here.fake.push("team/train", "v1", [LAYER])
    here.fake.contents[digest] += b" "
    with pytest.raises(HostUnavailableError, match="for sha256"):
        here.registry.manifest("team/train", digest)


def test_a_registry_that_is_away_for_a_moment(fake: FakeRegistry) -> None:
    digest = fake.push("team/train", "v1", [LAYER])
    fake.fails = [503, 502]
    assert OciRegistry(fake.host).manifest("team/train", "v1").digest == digest


@pytest.mark.parametrize("status", [429, 500, 503])
def test_one_that_stays_away_is_asked_again_later(fake: FakeRegistry, status: int) -> None:
    fake.push("team/train", "v1", [LAYER])
    asked = OciRegistry(fake.host)
    fake.fails = [status] * 3
    with pytest.raises(HostUnavailableError):
        asked.manifest("team/train", "v1")
    fake.fails = [status]
    with pytest.raises(HostUnavailableError), asked.blob("team/train", digest_of(LAYER)):
        pass
    fake.fails = []
    with pytest.raises(HostUnavailableError):
        OciRegistry("127.0.0.1:1").manifest("team/train", "v1")


def test_a_token_that_ran_out_is_renewed(fake: FakeRegistry) -> None:
    fake.push("team/train", "v1", [LAYER])
    asked = OciRegistry(fake.host)
    asked.manifest("team/train", "v1")
    fake._tokens.clear()
    with asked.blob("team/train", digest_of(LAYER)) as content:
        assert content.read(len(LAYER)) == LAYER
    fake._tokens.clear()
    assert asked.manifest("team/train", "v1").kind == OCI_INDEX


def test_the_token_goes_to_the_registry_alone(fake: FakeRegistry) -> None:
    fake.push("team/train", "v1", [LAYER])
    with OciRegistry(fake.host).blob("team/train", digest_of(LAYER)) as content:
        content.read(1)
    told = {path.partition("?")[0]: headers.get("authorization", "") for _, path, headers in fake.received}
    assert told[f"/v2/team/train/blobs/{digest_of(LAYER)}"].startswith("Bearer ")
    assert told[f"/elsewhere/{digest_of(LAYER)}"] == told["/token"] == ""


LOGIN = RegistryCredentials(username="robot", password="pass:word of theirs")


@pytest.fixture
def private(fake: FakeRegistry) -> FakeRegistry:
    """One whose image is for its owner alone."""
    fake.push("team/secret", "v1", [LAYER])
    fake.private.add("team/secret")
    fake.login = (LOGIN.username, LOGIN.password)
    return fake


@pytest.mark.parametrize("basic", [False, True])
def test_a_private_image_with_user_and_password(private: FakeRegistry, basic: bool) -> None:
    private.basic = basic
    with pytest.raises(ImageMissingError):
        OciRegistry(private.host).manifest("team/secret", "v1")
    asked = OciRegistry(private.host, LOGIN)
    assert asked.manifest("team/secret", "v1").kind == OCI_INDEX
    private.received.clear()
    with asked.blob("team/secret", digest_of(LAYER)) as content:
        assert content.read(len(LAYER) + 1) == LAYER
    told = {path.partition("?")[0]: headers.get("authorization", "") for _, path, headers in private.received}
    # Where the content lies is somebody else's.
    assert told[f"/elsewhere/{digest_of(LAYER)}"] == ""


def test_the_registry_itself_is_shown_a_token_in_place_of_the_password(private: FakeRegistry) -> None:
    OciRegistry(private.host, LOGIN).manifest("team/secret", "v1")
    shown = [path.partition("?")[0] for _, path, headers in private.received if "Basic" in str(headers)]
    assert shown == ["/token"]


@pytest.mark.parametrize("basic", [False, True])
def test_a_wrong_password_is_repeated_nowhere(private: FakeRegistry, basic: bool) -> None:
    private.basic, private.login = basic, ("robot", "another")
    with pytest.raises(LoginRefusedError) as refused:
        OciRegistry(private.host, LOGIN).manifest("team/secret", "v1")
    with pytest.raises(LoginRefusedError) as of_content, OciRegistry(private.host, LOGIN).blob("team/secret", "x"):
        pass
    for error in (refused, of_content):
        said = str(error.value) + repr(error.value)
        assert not any(one in said for one in (LOGIN.password, b64encode(b"robot:" + LOGIN.password.encode()).decode()))
    assert LOGIN.password not in repr(LOGIN)


@pytest.mark.parametrize("same", ["localhost", "127.0.0.1:1"])
def test_the_password_goes_to_no_other_host(private: FakeRegistry, same: str) -> None:
    port = private.host.partition(":")[2]
    other = f"localhost:{port}" if same == "localhost" else same
    private.realm = f"http://{other}/token?via=test"
    private.received.clear()
    with pytest.raises(InvalidInput, match="token_host"):
        OciRegistry(private.host, LOGIN).manifest("team/secret", "v1")
    assert [path for _, path, _ in private.received] == ["/v2/team/secret/manifests/v1"]
    if same == "localhost":
        named = LOGIN.model_copy(update={"token_host": other})
        assert OciRegistry(private.host, named).manifest("team/secret", "v1").kind == OCI_INDEX


@pytest.mark.parametrize(
    ("registry", "realm", "goes"),
    [
        ("docker.io", "https://auth.docker.io/token", True),
        ("docker.io", "https://docker.io.attacker.invalid/token", False),
        ("docker.io", "http://auth.docker.io/token", False),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("ghcr.io", "https://ghcr.io/token", True),
        ("ghcr.io", "https://GHCR.io:443/token", True),
        ("ghcr.io", "https://ghcr.io@attacker.invalid/token", False),
        ("ghcr.io", "https://ghcr.io:8443/token", False),
        ("ghcr.io", "//ghcr.io/token", False),
        ("ghcr.io", "https://auth.docker.io/token", False),
    ],
)
def test_which_hosts_may_give_out_tokens_for_a_password(
    registry: str, realm: str, goes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def token(url: str, headers: dict[str, str], query: str) -> dict[str, str]:
        shown.append(url)
        return {"token": "t"}

    challenge = {"www-authenticate": f'Bearer realm="{realm}",service="s"'}
    monkeypatch.setattr("trainyard.registries.oci.get_json", token)
    monkeypatch.setattr("trainyard.registries.oci._get", _refusing(challenge))
    with pytest.raises(LoginRefusedError if goes else InvalidInput):
        OciRegistry(registry, LOGIN).manifest("team/secret", "v1")
    assert bool(shown) is goes


_PIECES = ["https://", "http://", "//", "ghcr.io", "GHCR.IO", "@", "attacker.invalid", ":443", ":8443", "/token", "?", "#",
           "\\", ".", " ", "\t", "%2e"]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=9).map("".join) | st.text(max_size=40))
@hypothesis_settings(max_examples=300, deadline=None)
def test_whatever_a_registry_calls_its_token_host_the_password_stays_in_the_house(realm: str) -> None:
    shown: list[str] = []
    challenge = {"www-authenticate": f'Bearer realm="{realm}"'}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainyard.registries.oci.get_json", lambda url, *_: shown.append(url) or {"token": "t"})
        patch.setattr("trainyard.registries.oci._get", _refusing(challenge))
        with pytest.raises((ImageMissingError, InvalidInput)):
            OciRegistry("ghcr.io", LOGIN).manifest("team/secret", "v1")
    for url in shown:
        parts = urlsplit(url)
        assert (parts.scheme, parts.hostname, parts.port or 443) == ("https", "ghcr.io", 443)


def _refusing(headers: dict[str, str]) -> Callable[..., NoReturn]:
    def refuse(*_: object) -> NoReturn:
        raise HostRefusedError("registry", 401, "", headers)

    return refuse


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/token", "https://10.0.0.1/", "file:///etc/passwd", "x", "//10.0.0.1/", "https://0x7f.1/",
        "https://2852039166/latest", "https://0251.0376.0251.0376/", "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a9fe:a9fe]/", "https://[fe80::1%25eth0]/", "https://[fd00:ec2::254]/", "ext::sh -c id",
        "https://registry.example@10.0.0.1/", "https://registry.example\\@10.0.0.1/", "http://registry.example/",
    ],
)  # fmt: skip
def test_no_challenge_or_redirect_leads_into_a_house(
    fake: FakeRegistry, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.push("team/train", "v1", [LAYER])
    fake.realm = address
    with pytest.raises((InvalidInput, ImageMissingError)):
        OciRegistry(fake.host).manifest("team/train", "v1")
    fake.realm, fake.wants_token = "", False
    real = fake.answer

    def astray(*asked: object) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = real(*asked)  # type: ignore[arg-type]
        return status, {**headers, "Location": address} if status == 307 else headers, body

    monkeypatch.setattr(fake, "answer", astray)
    with pytest.raises((InvalidInput, ImageMissingError)):  # noqa: SIM117
        with OciRegistry(fake.host).blob("team/train", digest_of(LAYER)):
            pass


def test_redirects_without_end_end(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "answer", lambda *_: (307, {"Location": "/v2/again"}, b""))
    with pytest.raises(ImageMissingError), OciRegistry(fake.host).blob("team/train", digest_of(LAYER)):
        pass


@pytest.mark.parametrize(
    "challenge", ["", 'Basic realm="x"', "Bearer", 'Bearer service="x"', 'Bearer realm=""', "Bearer realm=http://x"]
)
def test_a_challenge_that_tells_nothing(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch, challenge: str) -> None:
    monkeypatch.setattr(fake, "answer", lambda *_: (401, {"WWW-Authenticate": challenge}, b""))
    with pytest.raises(ImageMissingError):
        OciRegistry(fake.host).manifest("team/train", "v1")


def test_a_manifest_that_is_larger_than_any(fake: FakeRegistry) -> None:
    digest = fake.push("team/train", "v1", [LAYER])
    fake.contents[digest] = b"{" * ((4 << 20) + 9)
    with pytest.raises(ImageMissingError):
        OciRegistry(fake.host).manifest("team/train", "v1")


def test_which_registry_a_name_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert isinstance(registry("123456789012.dkr.ecr.eu-west-1.amazonaws.com"), EcrRegistry)
    assert ecr_host("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn") == EcrHost("123456789012", "cn-north-1")
    for other in ("ghcr.io", "evil.example", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example"):
        assert isinstance(registry(other), OciRegistry)
    hub = OciRegistry("docker.io")
    assert hub._place("python") == "https://registry-1.docker.io/v2/library/python"
    assert hub._place("pytorch/pytorch") == "https://registry-1.docker.io/v2/pytorch/pytorch"
