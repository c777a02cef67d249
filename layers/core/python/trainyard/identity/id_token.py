"""An ID token is believed only if its provider signed it, for us, now, and in answer to this very sign-in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainyard.identity.provider import Provider

if TYPE_CHECKING:
    from joserfc.jwt import Token

# Signatures with public keys only. `none` is no signature, and HS256 under a public key would be anybody's.
_HASHES = {
    **dict.fromkeys(("RS256", "PS256", "ES256"), hashlib.sha256),
    **dict.fromkeys(("RS384", "PS384", "ES384"), hashlib.sha384),
    **dict.fromkeys(("RS512", "PS512", "ES512"), hashlib.sha512),
}
ALGORITHMS = tuple(_HASHES)
_LEEWAY_SECONDS = 60
_LONGEST_SUBJECT = 255


class IdTokenRefusedError(RuntimeError):
    """Why it is not believed, for the operator's log."""


@dataclass(frozen=True)
class Expected:
    """What a token must say."""

    client_id: str
    nonce: str
    access_token: str
    """That came with it; empty for none."""


def verified(id_token: str, provider: Provider, expected: Expected, now: int | None = None) -> dict[str, Any]:
    """The claims of the token; `now`: Unix time.

    Raises:
        IdTokenRefusedError: anything at all about it is not as it must be.
        ProviderFailedError: the provider's keys cannot be had.
    """
    from joserfc.errors import JoseError

    try:
        token = _signed_by(id_token, provider)
        _check_claims(token.claims, provider.issuer, expected.client_id, now or int(time.time()))
    except (JoseError, ValueError, TypeError) as error:
        raise IdTokenRefusedError(f"{type(error).__name__}: {error}") from None
    claims = token.claims
    if not _equal(claims["nonce"], expected.nonce):
        raise IdTokenRefusedError("it answers another sign-in: the nonce differs")
    if "at_hash" in claims and not _equal(claims["at_hash"], _at_hash(token.header["alg"], expected.access_token)):
        raise IdTokenRefusedError("it came with another access token: at_hash differs")
    return claims


def _signed_by(id_token: str, provider: Provider) -> Token:
    """The token, if one of the provider's keys fits; where none does, the keys are fetched anew, once."""
    from joserfc import jwt
    from joserfc.errors import BadSignatureError, InvalidKeyIdError

    try:
        return jwt.decode(id_token, provider.keys(), algorithms=ALGORITHMS)
    except (InvalidKeyIdError, BadSignatureError):
        return jwt.decode(id_token, provider.keys(fresh=True), algorithms=ALGORITHMS)


def _check_claims(claims: dict[str, Any], issuer: str, client_id: str, now: int) -> None:
    from joserfc.jwt import JWTClaimsRegistry

    JWTClaimsRegistry(
        now=now,
        leeway=_LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True},
    ).validate(claims)
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != client_id:
        raise ValueError("it was made for another party: azp differs")
    if len(claims["sub"]) > _LONGEST_SUBJECT:
        raise ValueError("its subject is too long")


def _at_hash(algorithm: str, access_token: str) -> str:
    """The left half of the access token's hash, as OpenID Connect wants it (3.1.3.6)."""
    digest = _HASHES[algorithm](access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _equal(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())
