"""Which addresses we go to, and the credentials that go with them."""

from __future__ import annotations

import base64
import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from trainyard.model.errors import InvalidInput
from trainyard.model.repository import Repository
from trainyard.model.settings import settings
from trainyard.model.text import Text

MAX_LENGTH = 500
# Nothing that a shell, git or a log would read as more than an address.
_PLAIN = re.compile(r"[A-Za-z0-9._~:/\[\]%+-]+")


def checked_address(url: str, field: str = "clone_url") -> str:
    """`url` itself, if we may connect to it: https, or plain http to this machine where the operator allowed that.

    Raises:
        InvalidInput: another scheme, a user or password inside, a query, or no host at all.
    """
    parts = _split(url)
    if parts is None or len(url) > MAX_LENGTH or not _PLAIN.fullmatch(url) or "@" in parts.netloc:
        raise _refused(field)
    if parts.scheme == "https" or (
        parts.scheme == "http" and settings().allow_loopback_http and is_loopback(parts.hostname or "")
    ):
        return url
    raise _refused(field)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts if parts.hostname else None


def _refused(field: str) -> InvalidInput:
    return InvalidInput(
        Text(
            en="Write the repository's https address without a user name or password, "
            "such as https://github.com/OWNER/NAME.git.",
            zh="请填写仓库的 https 地址，不要包含用户名或密码，例如 https://github.com/OWNER/NAME.git。",
        ),
        details={"field": field},
    )
