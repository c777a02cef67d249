"""What all webhooks have in common: headers in any case, a JSON body, refs, and a signature that fits or does not."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from trainyard.hosts.contract import Delivery, Ignored, Pushed, PushedRef
from trainyard.model.errors import InvalidInput, Unauthenticated
from trainyard.model.text import Text

_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_MAX_REF = 300
_MAX_PUSHER = 200


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
    """Always the same words: they tell nobody which part was wrong, nor whether there is such a project."""
    return Unauthenticated(
        Text(
            en="The webhook's signature is missing or wrong, or no such project of this host is connected here. "
            "Compare the webhook's address, and copy the secret shown when the project was connected into its "
            "settings, or make a new one.",
            zh="Webhook 的签名缺失或错误，或此处没有关联该平台的此项目。请核对 Webhook 地址，"
            "并把关联项目时显示的密钥填入 Webhook 设置，或生成新密钥。",
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


def text_at(payload: Any, *path: str) -> str:
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


def read_push(payload: Mapping[str, Any], tagged: str, pusher: str, delivery: str) -> Delivery:
    """The push in a payload with `ref`, `before`, `after` and perhaps `deleted`, as all hosts but CodeCommit send it.

    `tagged`: where the ref is a tag, the commit that it stands for; empty if the host does not tell.
    """
    ref = text_at(payload, "ref")
    after = commit_or_none(text_at(payload, "after"))
    if after is None or payload.get("deleted") is True:
        return Ignored(f"{ref} was deleted")
    return pushed(
        ref, text_at(payload, "before"), tagged if tagged and ref.startswith("refs/tags/") else after, pusher, delivery
    )


def pushed(ref: str, before: str, after: str, pusher: str, delivery: str) -> Delivery:
    """One ref that was moved; what is neither a branch nor a tag starts nothing."""
    if not ref.startswith(("refs/heads/", "refs/tags/")) or len(ref) > _MAX_REF or not ref.isprintable():
        return Ignored("neither a branch nor a tag")
    commit = commit_or_none(after)
    if commit is None:
        return Ignored(f"{ref} was deleted")
    known_before = commit_or_none(before) if before else None
    return Pushed([PushedRef(ref, known_before, commit, pusher[:_MAX_PUSHER], delivery)])


def unexpected(wanted: str) -> InvalidInput:
    return InvalidInput(
        Text(
            en=f"The webhook's body is not what this git host sends: expected {wanted}. "
            "Choose the content type application/json and the push event in its settings.",
            zh=f"Webhook 的内容不是该 Git 平台应发送的格式（需要 {wanted}）。"
            "请在设置中选择 application/json 和 push 事件。",
        )
    )
