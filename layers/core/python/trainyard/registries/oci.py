"""Any registry that speaks the OCI distribution API, as everybody may read it, or with a user and password.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md and, for tokens,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlencode, urljoin, urlsplit

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.networks import is_loopback
from trainyard.hosts.requests import Reply, get_json, send
from trainyard.model.errors import InvalidInput
from trainyard.model.registry_login import RegistryCredentials
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.registries.contract import (
    MANIFESTS,
    MAX_MANIFEST_BYTES,
    ImageMissingError,
    LoginRefusedError,
    Manifest,
    Readable,
    Registry,
    checked,
    downloaded,
)

# Where Docker Hub's images lie; its name is another.
_DOCKER_HUB, _DOCKER_HUB_API = "docker.io", "registry-1.docker.io"
# Registries whose tokens another host of the same house gives out. Elsewhere a login says which that may be.
_TOKEN_HOSTS = {_DOCKER_HUB: "auth.docker.io", "registry.gitlab.com": "gitlab.com"}
_PARAMETER = re.compile(r'([A-Za-z]+)="([^"\\]*)"')
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_STEPS = 4


class OciRegistry(Registry):
    def __init__(self, host: str, credentials: RegistryCredentials | None = None) -> None:
        """`host`: with its port, where it has one."""
        plain = settings().allow_loopback_http and is_loopback(host.partition(":")[0])
        self._root = f"{'http' if plain else 'https'}://{_DOCKER_HUB_API if host == _DOCKER_HUB else host}"
        self._host, self._credentials = host, credentials
        self._is_docker_hub = host == _DOCKER_HUB
        self._authorization: dict[str, str] = {}
        """The header that this registry wanted last."""

    def manifest(self, repository: str, reference: str) -> Manifest:
        reply = self._ask(f"{self._place(repository)}/manifests/{reference}", {"Accept": ", ".join(MANIFESTS)})
        if len(reply.body) > MAX_MANIFEST_BYTES:
            raise ImageMissingError(f"the manifest has more than {MAX_MANIFEST_BYTES} bytes")
        kind = reply.headers.get("content-type", "").partition(";")[0].strip()
        return checked(reply.body, kind, reference if reference.startswith("sha256:") else None)

    @contextmanager
    def blob(self, repository: str, digest: str) -> Iterator[Readable]:
        with ExitStack() as kept_open:
            yield self._opened(f"{self._place(repository)}/blobs/{digest}", kept_open)

    def _place(self, repository: str) -> str:
        official = self._is_docker_hub and "/" not in repository
        return f"{self._root}/v2/{'library/' if official else ''}{repository}"

    def _ask(self, url: str, headers: dict[str, str]) -> Reply:
        """With a new token, where the registry wants one."""
        try:
            return _get(url, {**headers, **self._authorization})
        except HostRefusedError as refused:
            self._sign_in(refused)
        try:
            return _get(url, {**headers, **self._authorization})
        except HostRefusedError as refused:
            raise self._reason(refused) from None

    def _opened(self, url: str, kept_open: ExitStack) -> Readable:
        """Registries lead to where their contents really lie; each such place is checked as every address is."""
        headers, asked = self._authorization, False
        for _ in range(_MOST_STEPS):
            place, _, query = url.partition("?")
            try:
                return kept_open.enter_context(downloaded(place, query, headers))
            except HostRefusedError as refused:
                if refused.status in _REDIRECTS:
                    # What opens the registry is for nobody else.
                    url, headers = urljoin(url, refused.headers.get("location", "")), {}
                elif not asked:
                    self._sign_in(refused)
                    headers, asked = self._authorization, True
                else:
                    raise self._reason(refused) from None
        raise ImageMissingError("the registry leads nowhere")

    def _sign_in(self, refused: HostRefusedError) -> None:
        """As the refusal says, if it is for want of that; else the refusal counts."""
        kind, _, rest = refused.headers.get("www-authenticate", "").partition(" ")
        told = {name.lower(): value for name, value in _PARAMETER.findall(rest)}
        if refused.status == 401 and kind.lower() == "bearer" and told.get("realm"):
            self._authorization = {"Authorization": f"Bearer {self._new_token(told)}"}
        elif refused.status == 401 and kind.lower() == "basic" and self._credentials and not self._authorization:
            self._authorization = _basic(self._credentials)
        else:
            raise self._reason(refused) from None

    def _new_token(self, told: dict[str, str]) -> str:
        realm, _, query = told["realm"].partition("?")
        wanted = urlencode([(name, told[name]) for name in ("service", "scope") if name in told])
        if self._credentials:
            self._check_token_host(realm, self._credentials)
        headers = _basic(self._credentials) if self._credentials else {}
        try:
            answer = get_json(realm, headers, "&".join(filter(None, (query, wanted))))
        except HostRefusedError as final:
            raise self._reason(final) from None
        token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise HostUnavailableError("the registry gave no token")
        return token

    def _check_token_host(self, realm: str, credentials: RegistryCredentials) -> None:
        """A registry, or whoever changed its answer, must not have the password sent wherever it likes."""
        root, asked = urlsplit(self._root), urlsplit(realm)
        known = {root.netloc, _TOKEN_HOSTS.get(self._host, ""), credentials.token_host} - {""}
        if asked.scheme == root.scheme and asked.netloc.lower().removesuffix(":443") in known:
            return
        shown = (asked.hostname or realm)[:200]
        raise InvalidInput(
            Text(
                en=f"{self._host} wants the password sent to {shown}, which it is not for. If that is right, name that "
                "host as the login's token_host.",
                zh=f"{self._host} 要求将密码发送到 {shown}，而密码并非用于该主机。如果无误，请填写为 token_host。",
            )
        )

    def _reason(self, refused: HostRefusedError) -> ImageMissingError | HostUnavailableError:
        """What a refusal means for whoever wanted the image."""
        if refused.status == 429 or refused.status >= 500:
            return HostUnavailableError(str(refused))
        if refused.status == 401 and self._credentials:
            return LoginRefusedError(str(refused))
        return ImageMissingError(str(refused))


def _basic(credentials: RegistryCredentials) -> dict[str, str]:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _get(url: str, headers: dict[str, str]) -> Reply:
    return send(url, b"", headers, method="GET", largest=MAX_MANIFEST_BYTES + 1)
