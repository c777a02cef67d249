"""The provider: what it publishes about itself, and its keys. Asked only at checked addresses, kept for an hour."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from trainyard.hosts.addresses import checked_address
from trainyard.hosts.contract import HostRefusedError, HostUnavailableError
from trainyard.hosts.requests import TRIES, send
from trainyard.model.errors import UserError

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

Kept = TypeVar("Kept")
_KEPT_SECONDS = 3600.0
_LARGEST = 256 << 10
DISCOVERY = "/.well-known/openid-configuration"


class ProviderFailedError(RuntimeError):
    """The provider cannot be reached, or what it says cannot be used. The reason is for the operator's log."""


@dataclass(frozen=True)
class Endpoints:
    """What the provider's discovery document says, as far as it concerns us."""

    authorization: str
    token: str
    keys: str
    takes_secret_in_body: bool
    """It wants the client's secret as a field of the form; the usual way is Basic authentication."""


class Provider:
    """One provider, known by its issuer. Thread-safe enough: the worst of a race is one request too many."""

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._clock = clock
        self._kept: dict[str, tuple[float, Any]] = {}

    def endpoints(self) -> Endpoints:
        """ProviderFailedError if the document is not there, is another issuer's, or leads where we do not go."""
        return self._keep("endpoints", self._discovered)

    def keys(self, *, fresh: bool = False) -> KeySet:
        """The keys that ID tokens are signed under; `fresh`: they were changed, as it seems. ProviderFailedError."""
        if fresh:
            self._kept.pop("keys", None)
        return self._keep("keys", lambda: _key_set(json_of(self.endpoints().keys)))

    def _keep(self, name: str, made: Callable[[], Kept]) -> Kept:
        kept = self._kept.get(name)
        if kept is None or kept[0] + _KEPT_SECONDS <= self._clock():
            kept = self._kept[name] = (self._clock(), made())
        value: Kept = kept[1]
        return value

    def _discovered(self) -> Endpoints:
        document = json_of(self.issuer.rstrip("/") + DISCOVERY)
        if document.get("issuer") != self.issuer:
            raise ProviderFailedError(f"the issuer is {self.issuer}, but its document says {document.get('issuer')!r}")
        ways = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Endpoints(
            authorization=_address(document, "authorization_endpoint"),
            token=_address(document, "token_endpoint"),
            keys=_address(document, "jwks_uri"),
            takes_secret_in_body="client_secret_basic" not in ways and "client_secret_post" in ways,
        )


@cache
def provider(issuer: str) -> Provider:
    """Shared within the function's life."""
    return Provider(issuer)


def json_of(url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The JSON object that is answered: to a GET, or to a POST of `body`, which is sent once and not again.

    Raises:
        ProviderFailedError: no answer, no object, or an address that we do not connect to.
        HostRefusedError: a 4xx to what was posted, which may be the user's fault.
    """
    parts = urlsplit(url)
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    method, tries = ("POST", 1) if body else ("GET", TRIES)
    asked = {"Accept": "application/json", **(headers or {})}
    try:
        reply = send(bare, body, asked, method=method, largest=_LARGEST, query=parts.query, tries=tries)
        answer = json.loads(reply.body)
    except HostRefusedError as error:
        if body:
            raise
        raise ProviderFailedError(f"{bare}: {error}") from None
    except (HostUnavailableError, UserError, ValueError, RecursionError) as error:
        raise ProviderFailedError(f"{bare}: {error}") from None
    if not isinstance(answer, dict):
        raise ProviderFailedError(f"{bare} answered no JSON object")
    return answer


def _address(document: dict[str, Any], name: str) -> str:
    """An address of the document, if it is one to which a browser or we may go."""
    url = document.get(name)
    try:
        if not isinstance(url, str):
            raise ProviderFailedError(f"the provider's document has no {name}")
        parts = urlsplit(url)
        # The query, which some providers have, is no part of what is checked.
        checked_address(urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), name)
    except (UserError, ValueError) as error:
        raise ProviderFailedError(f"the provider's {name} is no address to go to: {error}") from None
    return url


def _key_set(document: dict[str, Any]) -> KeySet:
    """Every key that can be used. One that cannot, of a kind of tomorrow perhaps, does not spoil the others."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, KeySet

    published = document.get("keys")
    keys = []
    for each in published if isinstance(published, list) else []:
        try:
            # A secret among public keys would be everybody's.
            if isinstance(each, dict) and each.get("kty") != "oct":
                keys.append(JWKRegistry.import_key(each))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    if not keys:
        raise ProviderFailedError("the provider publishes no key that can be used")
    return KeySet(keys)
