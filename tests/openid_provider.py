"""A small OpenID Connect provider on loopback: discovery, sign-in page, codes, PKCE, tokens, keys that change.

It does what a good one does. A test that wants a bad one changes `claims_of`, `sign` or the discovery `document`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html import escape
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

CLIENT = "trainyard"
SECRET = "a client's secret: with / and +"


@cache
def rsa_key(kid: str) -> RSAKey:
    """Made once for all tests: it takes some 100 ms."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@dataclass
class Granted:
    """What a code stands for."""

    subject: str
    asked: dict[str, str]


@dataclass
class OpenIdProvider:
    issuer: str = ""
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Subject -> claims."""
    secret: str | None = SECRET
    redirects: list[str] = field(default_factory=list)
    """Addresses that were registered for the client."""
    key: RSAKey | ECKey = field(default_factory=lambda: rsa_key("first"))
    algorithm: str = "RS256"
    document: dict[str, Any] = field(default_factory=dict)
    """What the discovery document says otherwise."""
    claims_of: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    sign: Callable[[dict[str, Any], OpenIdProvider], str] | None = None
    codes: dict[str, Granted] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Paths of the requests, in order."""
    away: bool = False

    # What a browser does there.

    def consent(self, address: str, subject: str) -> str:
        """Open the address that we were sent to, sign in as `subject`: where the provider sends the browser then."""
        parts = urlsplit(address)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        connection.request(
            "POST", f"{parts.path}?{parts.query}", urlencode({"subject": subject}),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        assert reply.status == 303, text
        return reply.headers["Location"]

    # What it answers.

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=one",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": [self.algorithm],
            **self.document,
        }

    def wrong_request(self, asked: dict[str, str]) -> str:
        wanted = {"tenant": "one", "response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        wrong = [name for name, value in wanted.items() if asked.get(name) != value]
        wrong += [name for name in ("state", "nonce", "code_challenge") if len(asked.get(name, "")) < 40]
        if asked.get("redirect_uri") not in self.redirects:
            wrong.append("redirect_uri")
        return ", ".join(wrong) if "openid" in asked.get("scope", "").split() else "scope"

    def grant(self, subject: str, asked: dict[str, str]) -> str:
        code = secrets.token_urlsafe(16)
        self.codes[code] = Granted(subject, asked)
        return asked["redirect_uri"] + "?" + urlencode({"code": code, "state": asked["state"], "iss": self.issuer})

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        if not self._knows_client(form, authorization):
            return 401, {"error": "invalid_client"}
        granted = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            granted is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != granted.asked["redirect_uri"]
            or challenge != granted.asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        access_token = secrets.token_urlsafe(16)
        claims = self.claims_of(self._claims(granted, access_token))
        id_token = self.sign(claims, self) if self.sign else self.signed(claims)
        return 200, {"access_token": access_token, "token_type": "Bearer", "id_token": id_token}

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode({"alg": self.algorithm, "kid": self.key.kid, **header}, claims, self.key, [self.algorithm])

    def _claims(self, granted: Granted, access_token: str) -> dict[str, Any]:
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        return {
            "iss": self.issuer, "aud": CLIENT, "sub": granted.subject, "iat": now, "exp": now + 300,
            "nonce": granted.asked["nonce"], "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **self.people.get(granted.subject, {}),
        }  # fmt: skip

    def _knows_client(self, form: dict[str, str], authorization: str) -> bool:
        if self.secret is None:
            return form.get("client_id") == CLIENT and not authorization
        if "client_secret_post" in self.document.get("token_endpoint_auth_methods_supported", []):
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT, self.secret)
        pair = base64.b64encode(urlencode({CLIENT: self.secret}).replace("=", ":").encode()).decode()
        return authorization == f"Basic {pair}"


def _page(provider: OpenIdProvider) -> str:
    buttons = "".join(
        f'<button name="subject" value="{escape(one)}">{escape(str(claims.get("name", one)))}</button>'
        for one, claims in provider.people.items()
    )
    return f"<!doctype html><title>Example sign-in</title><h1>Who are you?</h1><form method=post>{buttons}</form>"


@contextmanager
def openid_provider() -> Iterator[OpenIdProvider]:
    provider = OpenIdProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = self._begun()
            if path == "/.well-known/openid-configuration":
                self._answer(200, provider.discovery())
            elif path == "/keys":
                self._answer(200, {"keys": [{"kty": "of tomorrow"}, provider.key.as_dict(private=False)]})
            elif path == "/authorize":
                wrong = provider.wrong_request(query)
                self._answer(400 if wrong else 200, wrong or _page(provider))
            else:
                self._answer(404, {})

        def do_POST(self) -> None:
            path, query = self._begun()
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()))
            if path == "/token":
                self._answer(*provider.redeem(form, self.headers.get("Authorization", "")))
            elif path == "/authorize" and not provider.wrong_request(query):
                self._answer(303, "", Location=provider.grant(form["subject"], query))
            else:
                self._answer(400, provider.wrong_request(query))

        def _begun(self) -> tuple[str, dict[str, str]]:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            return ("/away" if provider.away else parts.path), dict(parse_qsl(parts.query))

        def _answer(self, status: int, answer: Any, **headers: str) -> None:
            kind = "text/html; charset=utf-8" if isinstance(answer, str) else "application/json"
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    provider.issuer = f"http://127.0.0.1:{listener.server_port}"
    try:
        yield provider
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join(5)
