"""Signing in with OpenID Connect: the authorization code flow with PKCE, from the button to the user's name."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

from trainyard.hosts.contract import HostRefusedError
from trainyard.identity.attempt import LASTS_SECONDS, Attempt, begun, opened, sealed
from trainyard.identity.id_token import Expected, IdTokenRefusedError, verified
from trainyard.identity.provider import Provider, ProviderFailedError, json_of, provider
from trainyard.identity.users import require_admitted, user_of
from trainyard.model.errors import Forbidden, Unauthenticated
from trainyard.model.settings import Settings
from trainyard.model.text import Text
from trainyard.store import State

CLIENT_SECRET = "oidc/client-secret"  # noqa: S105 - the parameter's name
COOKIE_KEY = "oidc/cookie-key"
_SECRET_SECONDS = 60.0
_KEY_SECONDS = 3600.0
_AGAIN = Text(
    en="This sign-in was not begun in this browser, took more than ten minutes, or was used already. Begin again.",
    zh="此登录不是在本浏览器中发起的、已超过十分钟，或已被使用。请重新登录。",
)


def begin(state: State, known: Settings, callback: str, to: str) -> tuple[str, str]:
    """The address to send the browser to, and the cookie that it keeps meanwhile.

    `callback`: our own address, to which the provider sends it back. ProviderFailedError if there is no going there.
    """
    attempt = begun(to)
    asked = {
        "response_type": "code",
        "client_id": known.oidc_client_id,
        "redirect_uri": callback,
        "scope": known.oidc_scopes,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": attempt.challenge,
        "code_challenge_method": "S256",
    }
    parts = urlsplit(provider(known.oidc_issuer).endpoints().authorization)
    query = urlencode([*parse_qsl(parts.query), *asked.items()])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, "")), sealed(attempt, _cookie_key(state))


def finish(
    state: State, known: Settings, callback: str, answer: Mapping[str, str], cookie: str | None
) -> tuple[str, str]:
    """The user's name and the path to go on to; `answer`: the query with which the provider sent the browser back.

    Raises:
        Unauthenticated: not what this browser began, or the provider did not sign them in.
        Forbidden: signed in, but not admitted here.
        IdTokenRefusedError, ProviderFailedError: what the provider says cannot be believed, or it says nothing.
    """
    attempt = _attempt(state, answer, cookie)
    if answer.get("iss", known.oidc_issuer) != known.oidc_issuer:  # RFC 9207
        raise IdTokenRefusedError(f"the answer is another issuer's: {answer['iss'][:200]!r}")
    if "error" in answer or not answer.get("code"):
        raise _not_signed_in(answer.get("error", ""))
    whose = provider(known.oidc_issuer)
    tokens = _redeemed(state, known, whose, callback, answer["code"], attempt)
    access_token = tokens.get("access_token")
    expected = Expected(known.oidc_client_id, attempt.nonce, access_token if isinstance(access_token, str) else "")
    claims = verified(str(tokens.get("id_token", "")), whose, expected)
    require_admitted(claims, known)
    return user_of(state.table, known.oidc_issuer, claims, known.oidc_user_claim), attempt.to


def _attempt(state: State, answer: Mapping[str, str], cookie: str | None) -> Attempt:
    """What this browser began and the provider answers now. Each is taken once."""
    attempt = opened(cookie, _cookie_key(state)) if cookie else None
    if attempt is None or not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
        raise Unauthenticated(_AGAIN, code="sign_in_again")
    if not state.table.mark(f"sign-in/{attempt.digest}", attempt.ends + LASTS_SECONDS):
        raise Unauthenticated(_AGAIN, code="sign_in_again")
    return attempt


def _redeemed(
    state: State, known: Settings, whose: Provider, callback: str, code: str, attempt: Attempt
) -> dict[str, Any]:
    """What the provider gives for the code."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback,
        "code_verifier": attempt.verifier,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    endpoints, secret = whose.endpoints(), state.secrets.get(CLIENT_SECRET, _SECRET_SECONDS)
    if secret is None or endpoints.takes_secret_in_body:
        form |= {"client_id": known.oidc_client_id, **({"client_secret": secret} if secret else {})}
    else:
        pair = f"{quote_plus(known.oidc_client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    try:
        return json_of(endpoints.token, urlencode(form).encode(), headers)
    except HostRefusedError as error:
        if "invalid_grant" in error.answer:
            raise Unauthenticated(_AGAIN, code="sign_in_again") from None
        raise ProviderFailedError(f"the code was not redeemed: {error}") from None


def _not_signed_in(error: str) -> Forbidden:
    word = error if error.isascii() and error.replace("_", "").isalnum() and len(error) < 60 else "error"
    return Forbidden(
        Text(
            en=f"The sign-in service did not sign you in ({word}). Begin again, or ask the operator.",
            zh=f"登录服务未能完成登录（{word}）。请重试，或联系平台管理员。",
        ),
        code="not_signed_in",
    )


def _cookie_key(state: State) -> str:
    """The key that seals cookies, made on first use."""
    key = state.secrets.get(COOKIE_KEY, _KEY_SECONDS)
    if key is None:
        # Another function may make one at the same moment: the first that was stored counts.
        state.secrets.put_if_absent(COOKIE_KEY, secrets.token_urlsafe(32))
        key = state.secrets.get(COOKIE_KEY)
        assert key is not None
    return key
