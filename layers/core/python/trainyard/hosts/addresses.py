"""Which addresses we go to, and the credentials that go with them. Whatever connects to a host asks here."""

from __future__ import annotations

import base64
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from trainyard.hosts.networks import ip_address, is_disguised, is_loopback, is_public
from trainyard.model.errors import InvalidInput
from trainyard.model.repository import Repository
from trainyard.model.settings import settings
from trainyard.model.text import Text

MAX_LENGTH = 500
# Nothing that a shell, git or a log would read as more than an address.
_PLAIN = re.compile(r"[A-Za-z0-9._~:/\[\]%+-]+")
# What every program reads in the same way: no empty part, no escapes, no zone of an IPv6 address.
_NETLOC = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Destination:
    """Where one connection goes: nobody asks for the name's addresses again between the check and the connection."""

    host: str
    """The name, for TLS and for the Host header."""
    port: int
    addresses: list[str]
    """Of the network, in the resolver's order; each was checked."""


def checked_address(url: str, field: str = "clone_url") -> str:
    """`url` itself, if it is of a kind that we connect to: https, or plain http to this machine if that is allowed.

    What its name stands for is looked up where the connection is made, see `destination`.

    Raises:
        InvalidInput: another scheme, a user or password inside, a query, no host at all, or an address that is not
            public.
    """
    parts = _split(url)
    if parts is None or len(url) > MAX_LENGTH or not _PLAIN.fullmatch(url) or not _NETLOC.fullmatch(parts.netloc):
        raise _refused(field)
    host = parts.hostname or ""
    if is_disguised(host):
        raise _refused(field)
    if ip_address(host) is not None:
        _check_network(host, host, field)
    if parts.scheme == "https" or (parts.scheme == "http" and settings().allow_loopback_http and is_loopback(host)):
        return url
    raise _refused(field)


def destination(url: str, field: str = "clone_url") -> Destination:
    """Where to connect for `url`, now.

    Raises:
        InvalidInput: as `checked_address`, or one of the name's addresses is not public. A name that stands for both
            kinds is refused as a whole: no host of ours has such a name.
        OSError: the name is not known, or nobody answers for it.
    """
    parts = urlsplit(checked_address(url, field))
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    addresses = _resolve(host, port, field)
    for address in addresses:
        _check_network(address, host, field)
    return Destination(host, port, addresses)


def _resolve(host: str, port: int, field: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a part of the name is empty or too long
        raise _refused(field) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _check_network(address: str, host: str, field: str) -> None:
    if is_public(address.partition("%")[0]) or (settings().allow_loopback_http and is_loopback(address)):
        return
    raise InvalidInput(
        Text(
            en=f"{host} is not reachable from the internet. Give an address that is.",
            zh=f"{host} 无法从互联网访问。请填写可公开访问的地址。",
        ),
        details={"field": field},
    )


def repository_path(repository: Repository, segments: int | None = 2) -> str:
    """The repository's name on its host, from its clone address: the last `segments` of its path, all with None.

    The name here may differ from the name there: groups of GitLab have any depth.
    """
    path = urlsplit(repository.clone_url).path.removesuffix("/").removesuffix(".git").strip("/")
    parts = path.split("/")
    return "/".join(parts if segments is None else parts[-segments:])


def host_root(repository: Repository) -> str:
    """`https://HOST[:PORT]` of the registered clone address: where a host of one's own answers its API, too."""
    parts = urlsplit(repository.clone_url)
    return f"{parts.scheme}://{parts.netloc}"


def basic_authorization(token: str, default_user: str) -> dict[str, str]:
    """An Authorization header for git. A token that is spelled `USER:SECRET` brings its own user name."""
    user, colon, secret = token.partition(":")
    pair = f"{user}:{secret}" if colon else f"{default_user}:{token}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def token_secret(token: str) -> str:
    """The secret of `SECRET` or `USER:SECRET`."""
    return token.rpartition(":")[2]


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        is_possible = parts.port != 0  # raises where it is no number
    except ValueError:
        return None
    return parts if parts.hostname and is_possible else None


def _refused(field: str) -> InvalidInput:
    return InvalidInput(
        Text(
            en="Write the repository's https address without a user name or password, "
            "such as https://github.com/OWNER/NAME.git.",
            zh="请填写仓库的 https 地址，不要包含用户名或密码，例如 https://github.com/OWNER/NAME.git。",
        ),
        details={"field": field},
    )
