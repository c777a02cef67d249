"""Where this installation connects: nowhere but the internet, however the address is spelled and whoever answers."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contracts.hosts.api_server import ApiServer, Received, serving
from hypothesis import given
from hypothesis import strategies as st
from unit.validation.conftest import git_server  # noqa: F401
from unit.validation.git_rig import GitServer

from trainyard.hosts import requests
from trainyard.hosts.addresses import checked_address, destination
from trainyard.hosts.contract import FetchAddress, HostRefusedError, HostUnavailableError
from trainyard.hosts.networks import is_disguised, is_loopback, is_public
from trainyard.hosts.requests import get_json
from trainyard.model.errors import InvalidInput
from trainyard.model.settings import Settings
from trainyard.validation.fetch import FetchRefused, RemoteUnavailableError, fetched

Answers = Callable[..., list[str]]
PRIVATE = [
    *("127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2001::1", "5f00::1"),
    *("::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:10.0.0.1"),
    *("64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
]
PUBLIC = ["140.82.112.3", "8.8.8.8", "2606:50c0:8000::153", "64:ff9b::140.82.112.3", "::ffff:140.82.112.3"]
NETWORKS = [
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                 "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
]  # fmt: skip


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`resolver("10.0.0.1", ...)`: what every name stands for from now on; the names that were asked for come back."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def answer_with(*answers: list[str] | str) -> list[str]:
        left = [[answer] if isinstance(answer, str) else answer for answer in answers]

        def look_up(host: str, port: int, *rest: int, **more: int) -> list[tuple[object, ...]]:
            try:
                ipaddress.ip_address(host)
            except ValueError:
                asked.append(host)
                found = left.pop(0) if len(left) > 1 else left[0]
                return [entry for address in found for entry in real(address, port, *rest, **more)]
            return list(real(host, port, *rest, **more))

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return answer_with


@pytest.fixture
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.hosts.addresses.settings", lambda: Settings(allow_loopback_http=True))
    monkeypatch.setattr("trainyard.hosts.requests._pause", lambda *_: 0.0)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    told = ApiServer()

    def respond(received: Received) -> tuple[int, dict[str, str], object]:
        told.received.append(received)
        status, headers = told.answers.pop(0) if told.answers else (200, {})
        return status, headers, {"taken": True}

    with serving(respond) as told.url:
        yield told


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_of_a_house_is_public(address: str) -> None:
    assert not is_public(address)
    shown = f"[{address}]" if ":" in address else address
    for url in (f"https://{shown}/a/b.git", f"https://{shown}:8443/", f"http://{shown}/"):
        with pytest.raises(InvalidInput):
            checked_address(url)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet(address: str) -> None:
    shown = f"[{address}]" if ":" in address else address
    assert destination(f"https://{shown}/a/b.git").addresses


@given(st.sampled_from(NETWORKS).flatmap(lambda network: st.ip_addresses(network=network)), st.data())
def test_no_spelling_of_a_private_address_gets_through(address: ipaddress.IPv4Address, data: st.DataObject) -> None:
    number, parts = int(address), str(address).split(".")
    spelled = data.draw(
        st.sampled_from(
            [
                str(number), hex(number), f"0{number:o}", f"0X{number:X}",
                ".".join(hex(int(part)) for part in parts), ".".join(f"0{int(part):o}" for part in parts),
                f"{parts[0]}.{number & 0xFFFFFF}", f"{parts[0]}.{parts[1]}.{number & 0xFFFF}",
                str(address), f"{address}.", ".".join(part.zfill(3) for part in parts),
                f"[::ffff:{address}]", f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]", f"[64:ff9b::{address}]",
                f"[::{address}]", f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::1]", f"[fe80::1%25{address}]",
                "".join(f"%{ord(letter):02x}" for letter in str(address)), str(address).replace(".", "%2e"),
            ]
        )
    )  # fmt: skip
    for scheme in ("https", "http"):
        with pytest.raises(InvalidInput):
            checked_address(f"{scheme}://{spelled}/a/b.git")


@given(st.ip_addresses())
def test_what_is_no_public_address_for_python_is_none_for_us(address: ipaddress.IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert not is_public(str(address)) or getattr(address, "ipv4_mapped", None) is not None


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/x", f"https://github.com{text}"):
        try:
            checked_address(url)
        except InvalidInput:
            continue
        assert url.startswith("https://")
        assert not is_disguised(url.removeprefix("https://").partition("/")[0])


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com:0/a.git", "https://github.com:99999/a.git", "https://a@github.com/a.git",
        "https://github.com.:443/a.git", "https://github..com/a.git", "https:///a.git", "https://[::1",
        "https://github.com[::1]/a", "https://git hub.com/a", "https://github.com/a?b=c", "https://github.com/a#b",
        "https://github.com\r\nHost: x/a", "https://ｇithub.com/a", "https://github.com\\@127.0.0.1/a",
        "ftp://github.com/a", "git://github.com/a", "ssh://github.com/a", "file:///etc/passwd", "ext::sh -c id",
    ],
)  # fmt: skip
def test_addresses_that_programs_read_differently(url: str) -> None:
    with pytest.raises(InvalidInput):
        checked_address(url)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_into_a_house(resolver: Answers, address: str) -> None:
    for answer in ([address], ["140.82.112.3", address]):
        resolver(answer)
        with pytest.raises(InvalidInput, match=r"git\.example is not reachable"):
            destination("https://git.example/a/b.git")


def test_loopback_only_where_the_operator_allows_it(resolver: Answers, loopback_allowed: None) -> None:
    resolver("127.0.0.1")
    assert destination("http://localhost:3000/a.git").addresses == ["127.0.0.1"]
    assert is_loopback("::ffff:127.0.0.1")
    for address in ("10.0.0.1", "169.254.169.254", "0.0.0.0", "64:ff9b::127.0.0.1"):
        resolver(address)
        with pytest.raises(InvalidInput):
            destination("https://git.example/a.git")


def test_a_name_that_nobody_can_look_up(loopback_allowed: None) -> None:
    with pytest.raises(InvalidInput):
        destination(f"https://{'a' * 64}.example/a.git")
    with pytest.raises(HostUnavailableError):
        get_json("https://nowhere.invalid/", {})


def test_nobody_is_asked_between_the_check_and_the_connection(
    resolver: Answers, loopback_allowed: None, server: ApiServer
) -> None:
    """A name that is public when it is checked and private when it is used (DNS rebinding) gains nothing."""
    asked = resolver("127.0.0.1", "127.0.0.9")
    port = server.url.rpartition(":")[2]
    assert get_json(f"http://localhost:{port}/api", {}) == {"taken": True}
    assert asked == ["localhost"]
    assert server.received[0].headers["host"] == f"localhost:{port}"


def test_a_rebound_name_is_checked_again_in_every_try(
    resolver: Answers, loopback_allowed: None, server: ApiServer
) -> None:
    resolver("127.0.0.1", "169.254.169.254")
    server.answers = [(503, {})]
    with pytest.raises(InvalidInput):
        get_json(f"http://localhost:{server.url.rpartition(':')[2]}/", {})
    assert len(server.received) == 1


def test_the_second_address_where_the_first_does_not_answer(
    resolver: Answers, loopback_allowed: None, server: ApiServer
) -> None:
    resolver(["::1", "127.0.0.1"])
    assert get_json(f"http://localhost:{server.url.rpartition(':')[2]}/", {}) == {"taken": True}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(loopback_allowed: None, server: ApiServer, status: int) -> None:
    server.answers = [(status, {"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(HostRefusedError):
        get_json(f"{server.url}/", {})
    assert [one.path for one in server.received] == ["/"]


def test_the_host_proves_its_name_although_we_connect_to_an_address(
    resolver: Answers, loopback_allowed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _certificate(tmp_path, "git.example")
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(requests, "_tls", lambda: trusting)
    resolver("127.0.0.1")
    names: list[str | None] = []
    with _tls_server(certificate, names) as port:
        assert get_json(f"https://git.example:{port}/", {}) == {}
        with pytest.raises(HostUnavailableError, match="SSLCertVerificationError"):
            get_json(f"https://other.example:{port}/", {})
    assert names[:2] == ["git.example", "other.example"]


def test_git_goes_where_the_check_said(resolver: Answers, git_server: GitServer) -> None:  # noqa: F811
    commit = git_server.repository("ada/lenet5").commit({"train.py": "1\n"})
    address = FetchAddress(git_server.url("ada/lenet5").replace("127.0.0.1", "localhost"))
    resolver("127.0.0.1")
    with fetched(address, "main") as (_, found):
        assert found == commit
    before = len(git_server.requests)
    # The machine's own resolver would lead to the server; the address that was checked does not.
    resolver("127.0.0.9")
    with pytest.raises(RemoteUnavailableError), fetched(address, "main"):
        pass
    assert len(git_server.requests) == before


def test_git_is_not_started_for_a_name_that_leads_into_a_house(resolver: Answers) -> None:
    resolver("169.254.169.254")
    with (
        pytest.raises(FetchRefused, match="not reachable from the internet"),
        fetched(FetchAddress("https://git.example/a.git"), "main"),
    ):
        pass


def _certificate(folder: Path, name: str) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "host.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return folder / "host.pem"


class _tls_server:  # noqa: N801 - used like a function
    """Answers `{}` to whoever takes its certificate, and notes the names that it was asked for."""

    def __init__(self, certificate: Path, names: list[str | None]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.sni_callback = lambda _socket, name, _context: names.append(name)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except OSError:
                continue
