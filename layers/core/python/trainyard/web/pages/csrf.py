"""A form is taken only from the browser that it was given to: it carries a token made from that browser's cookie."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl

from trainyard.model.errors import Forbidden
from trainyard.model.text import Text
from trainyard.web.messages import Request

FIELD = "csrf"
HEADER = "x-csrf-token"
MAX_FIELDS = 500


def csrf_token(secret: str) -> str:
    """For the forms of the browser that holds `secret`. It tells nothing about the secret."""
    return hmac.new(secret.encode(), b"trainyard form", hashlib.sha256).hexdigest()


def require_csrf(request: Request, secret: str | None) -> None:
    """Forbidden unless the form, or the script's request, carries the token of this browser."""
    given = request.headers.get(HEADER) or dict(fields(request)).get(FIELD, "")
    if not secret or not hmac.compare_digest(given.encode(), csrf_token(secret).encode()):
        raise Forbidden(
            Text(
                en="This form is no longer valid. Go back, load the page again and send it once more.",
                zh="此表单已失效。请返回并刷新页面后重新提交。",
            ),
            code="csrf",
        )


def fields(request: Request) -> list[tuple[str, str]]:
    """The fields of a form that a page sent; none where they cannot be read."""
    try:
        return parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return []
