"""What all webhooks have in common: headers in any case, a JSON body, refs, and a signature that fits or does not."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from trainyard.model.errors import InvalidInput, Unauthenticated
from trainyard.model.text import Text

_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_MAX_REF = 300
MAX_PUSHER = 200
"""Characters of a pusher's name that are kept."""


def header(headers: Mapping[str, str], name: str) -> str:
    """The header's value, whatever the case of its name; empty if it is not there."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")


def hmac_sha256(secret: str | bytes, message: bytes) -> bytes:
    return hmac.new(secret.encode() if isinstance(secret, str) else secret, message, hashlib.sha256).digest()


def same(given: str, expected: str) -> bool:
    """Compared in constant time. A header may hold any characters; compare_digest takes only ASCII strings."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


def wrong_signature() -> Unauthenticated:
    """Always the same words: they tell nobody which part was wrong."""
    return Unauthenticated(
        Text(
            en="The webhook's signature is missing or wrong. Copy the secret shown when the project was connected into "
            "the webhook's settings, or connect the project again for a new one.",
            zh="Webhook 的签名缺失或错误。请把关联项目时显示的密钥填入 Webhook 设置，或重新关联项目以获取新密钥。",
        )
    )


def json_object(body: bytes | str) -> dict[str, Any]:
    """The body as a JSON object. InvalidInput if it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise unexpected("a JSON object")
    return value


def text_at(payload: Mapping[str, Any], *path: str) -> str:
    """The string at `path`, or empty where anything on the way is missing or of another kind.

    JSON can spell halves of characters, which nothing can store: they become question marks.
    """
    value: Any = payload
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def commit_or_none(sha: str) -> str | None:
    """`sha` in lower case, or None for the zeros that hosts write where there is no commit."""
    known = sha.lower()
    if not _SHA.fullmatch(known):
        raise unexpected("full commit ids")
    return None if set(known) == {"0"} else known


def is_branch_or_tag(ref: str) -> bool:
    return ref.startswith(("refs/heads/", "refs/tags/")) and len(ref) <= _MAX_REF and ref.isprintable()


def unexpected(wanted: str) -> InvalidInput:
    return InvalidInput(
        Text(
            en=f"The webhook's body is not what this git host sends: expected {wanted}. "
            "Choose the content type application/json and the push event in its settings.",
            zh=f"Webhook 的内容不是该 Git 平台应发送的格式（需要 {wanted}）。"
            "请在设置中选择 application/json 和 push 事件。",
        )
    )
