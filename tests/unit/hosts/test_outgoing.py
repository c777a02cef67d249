"""Everything that goes out into the network goes by `hosts/requests.py`, which looks at where; and git, which is told."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import ROOT
from contracts.hosts.api_server import ApiServer
from unit.hosts.test_destinations import git_server, loopback_allowed, server  # noqa: F401 - fixtures
from unit.validation.git_rig import GitServer

from trainyard.hosts.addresses import checked_address
from trainyard.hosts.contract import FetchAddress
from trainyard.hosts.requests import get_json
from trainyard.model.errors import InvalidInput
from trainyard.validation.fetch import fetched

LIBRARY = ROOT / "layers" / "core" / "python" / "trainyard"
WAYS_OUT = ("aiohttp", "botocore.httpsession", "ftplib", "http.client", "httpx", "requests", "smtplib", "socket", "ssl",
            "telnetlib", "urllib.request", "urllib3", "xmlrpc")  # fmt: skip
# Whose addresses no user chooses, and what makes no connection.
KNOWN = {
    "cli/client.py": "a person's own machine asks the address that they signed in to",
    "compute/modelarts/client.py": "Huawei's own endpoints",
    "compute/modelarts/credentials.py": "Huawei's own endpoints",
    "hosts/addresses.py": "the check itself",
    "hosts/requests.py": "the one place",
    "registries/contract.py": "only the errors and the answer of what `hosts/requests.py` opened",
    "runner/credentials.py": "the installation's own API, as the job was told",
    "runner/hardware.py": "ECS's metadata about the job's own container",
    "runner/jail/linux.py": "switches a loopback on",
    "store/download.py": "S3, by the client's own endpoint",
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_nothing_else_opens_a_connection() -> None:
    sources = [*LIBRARY.rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    going_out = {
        path.relative_to(LIBRARY if path.is_relative_to(LIBRARY) else ROOT).as_posix()
        for path in sources
        if any(name == way or name.startswith(f"{way}.") for name in imports(path) for way in WAYS_OUT)
    }
    assert going_out == set(KNOWN)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ext::sh -c touch% /tmp/x", "ext::https://github.com/", "ssh://git@github.com/a/b",
        "git@github.com:a/b.git", "git://github.com/a/b", "ftp://github.com/a", "gopher://github.com/a", "data:,x",
        "/etc/passwd", "../a", "-uhttps://github.com/a", "--upload-pack=x", "http://github.com/a/b", "HTTPS:github.com/a",
        "https://ada@github.com/a", "https://ada:pw@github.com/a", "https://github.com@10.0.0.1/a",
        "https://github.com\\@10.0.0.1/a", "https://10.0.0.1#@github.com/a", "https://10.0.0.1?@github.com/a",
        "https://github.com:0/a", "https://github.com:99999/a", "https:///a", "https://git hub.com/a", "https://a..b/c",
        "https://[fe80::1%25eth0]/a", "https://github.com/a\r\nHost: x", "https://①②⑦.0.0.1/a", "https://127。0。0。1/a",
    ],
)  # fmt: skip
def test_what_is_no_address_that_we_connect_to(url: str) -> None:
    with pytest.raises(InvalidInput):
        checked_address(url)


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would be told the name and look it up itself, whatever was checked. Nobody listens at this one."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("proxies", "loopback_allowed")
def test_no_proxy_is_asked(server: ApiServer) -> None:  # noqa: F811 - the fixture
    assert get_json(f"{server.url}/x", {}) == {"taken": True}


@pytest.mark.usefixtures("proxies", "loopback_allowed")
def test_nor_by_git(git_server: GitServer) -> None:  # noqa: F811 - the fixture
    commit = git_server.repository("ada/lenet5").commit({"train.py": "1\n"})
    with fetched(FetchAddress(git_server.url("ada/lenet5")), "main") as (_, found):
        assert found == commit
