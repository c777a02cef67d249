"""Any registry that speaks the OCI distribution API, as everybody may read it: without a password.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md and, for tokens,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlencode, urljoin

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.networks import is_loopback
from trainyard.hosts.requests import Reply, get_json, send
from trainyard.model.settings import settings
from trainyard.registries.contract import (
    MANIFESTS,
    MAX_MANIFEST_BYTES,
    ImageMissingError,
    Manifest,
    Readable,
    Registry,
    checked,
    downloaded,
)

# Where Docker Hub's images lie; its name is another.
_DOCKER_HUB, _DOCKER_HUB_API = "docker.io", "registry-1.docker.io"
_PARAMETER = re.compile(r'([A-Za-z]+)="([^"\\]*)"')
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_STEPS = 4


class OciRegistry(Registry):
    def __init__(self, host: str) -> None:
        """`host`: with its port, where it has one."""
        plain = settings().allow_loopback_http and is_loopback(host.partition(":")[0])
        self._root = f"{'http' if plain else 'https'}://{_DOCKER_HUB_API if host == _DOCKER_HUB else host}"
        self._is_docker_hub = host == _DOCKER_HUB
        self._token = ""

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
            return _get(url, {**headers, **self._authorization()})
        except HostRefusedError as refused:
            self._renew_token(refused)
        try:
            return _get(url, {**headers, **self._authorization()})
        except HostRefusedError as refused:
            raise _reason(refused) from None

    def _opened(self, url: str, kept_open: ExitStack) -> Readable:
        """Registries lead to where their contents really lie; each such place is checked as every address is."""
        headers, asked = self._authorization(), False
        for _ in range(_MOST_STEPS):
            place, _, query = url.partition("?")
            try:
                return kept_open.enter_context(downloaded(place, query, headers))
            except HostRefusedError as refused:
                if refused.status in _REDIRECTS:
                    # The token is the registry's alone.
                    url, headers = urljoin(url, refused.headers.get("location", "")), {}
                elif not asked:
                    self._renew_token(refused)
                    headers, asked = self._authorization(), True
                else:
                    raise _reason(refused) from None
        raise ImageMissingError("the registry leads nowhere")

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _renew_token(self, refused: HostRefusedError) -> None:
        """Get one as the refusal says, if it is for want of a token; else the refusal counts."""
        kind, _, rest = refused.headers.get("www-authenticate", "").partition(" ")
        told = {name.lower(): value for name, value in _PARAMETER.findall(rest)}
        if refused.status != 401 or kind.lower() != "bearer" or not told.get("realm"):
            raise _reason(refused) from None
        realm, _, query = told["realm"].partition("?")
        wanted = urlencode({name: told[name] for name in ("service", "scope") if name in told})
        try:
            answer = get_json(realm, {}, "&".join(filter(None, (query, wanted))))
        except HostRefusedError as final:
            raise _reason(final) from None
        token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise HostUnavailableError("the registry gave no token")
        self._token = token


def _get(url: str, headers: dict[str, str]) -> Reply:
    return send(url, b"", headers, method="GET", largest=MAX_MANIFEST_BYTES + 1)


def _reason(refused: HostRefusedError) -> ImageMissingError | HostUnavailableError:
    """What a refusal means for whoever wanted the image."""
    passes = refused.status == 429 or refused.status >= 500
    return HostUnavailableError(str(refused)) if passes else ImageMissingError(str(refused))
