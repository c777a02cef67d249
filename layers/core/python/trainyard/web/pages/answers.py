"""Pages as API Gateway takes them: compressed where that is accepted, and with the rules that browsers keep."""

from __future__ import annotations

import base64
import gzip as compression
from dataclasses import dataclass, field
from typing import Any

_SMALL = 1000
HTML = "text/html; charset=utf-8"
# Nothing but our own files; nothing inline, so that no text of anybody can become a script or a style.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    # Browsers ignore it where a page came over plain http, as on loopback.
    "strict-transport-security": "max-age=31536000",
    "vary": "accept-encoding, accept-language, cookie",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class PageAnswer:
    status: int
    body: str | bytes = ""
    content_type: str = HTML
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)

    def to_gateway(self, *, gzip: bool = False) -> dict[str, Any]:
        body = self.body.encode(errors="replace") if isinstance(self.body, str) else self.body
        headers = {**HEADERS, "content-type": self.content_type, **self.headers}
        if gzip and len(body) > _SMALL and "content-encoding" not in headers:
            body = compression.compress(body, 6, mtime=0)
            headers["content-encoding"] = "gzip"
        return {
            "statusCode": self.status,
            "headers": headers,
            "cookies": self.cookies,
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
