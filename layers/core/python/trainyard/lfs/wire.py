"""What goes over the wire: an HTTP API event becomes a request, an outcome a response of Git LFS's own type."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ValidationError

from trainyard.model.errors import InvalidInput, NotFound, TooLarge
from trainyard.model.repository import FULL_NAME
from trainyard.model.text import Text

MEDIA_TYPE = "application/vnd.git-lfs+json"
MAX_BODY_BYTES = 1 << 20
"""A batch of 1,000 objects takes about 120 kB."""

_ADDRESS = re.compile(r"/(?P<owner>[^/]+)/(?P<name>[^/]+)\.git/info/lfs/(?P<rest>.+)")
NO_ADDRESS = Text(en="There is nothing at this Git LFS address.", zh="该 Git LFS 地址不存在。")

Document = TypeVar("Document", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """One request to a repository's Git LFS address."""

    method: str
    repository: str
    """`owner/name`."""
    rest: str
    """What follows `info/lfs/`."""
    query: dict[str, str]
    authorization: str | None
    body: bytes

    def document(self, model: type[Document]) -> Document:
        """The body as `model`. InvalidInput that names the wrong field otherwise."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "body"
            raise InvalidInput(
                Text(
                    en=f"The Git LFS request is not valid: {place}: {first['msg']}.",
                    zh=f"Git LFS 请求无效：{place}：{first['msg']}。",
                )
            ) from None


def read_request(event: dict[str, Any]) -> Request:
    """A request in API Gateway's HTTP API payload 2.0. NotFound, TooLarge or InvalidInput if it cannot be one."""
    found = _ADDRESS.search(unquote(event["rawPath"]))
    repository = f"{found['owner']}/{found['name']}" if found else ""
    if found is None or not FULL_NAME.fullmatch(repository):
        raise NotFound(NO_ADDRESS)
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    return Request(
        method=event["requestContext"]["http"]["method"],
        repository=repository,
        rest=found["rest"],
        query=dict(parse_qsl(event.get("rawQueryString", ""))),
        authorization=headers.get("authorization"),
        body=_body(event),
    )


def response(status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": MEDIA_TYPE, **(headers or {})},
        "body": json.dumps(document, ensure_ascii=False),
    }


def _body(event: dict[str, Any]) -> bytes:
    raw: str = event.get("body") or ""
    try:
        body = base64.b64decode(raw, validate=True) if event.get("isBase64Encoded") else raw.encode()
    except ValueError:  # no base64, or no text at all
        raise InvalidInput(Text(en="The body is not valid.", zh="请求体无效。")) from None
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(
            Text(
                en=f"A Git LFS request may have {MAX_BODY_BYTES} bytes; ask for fewer objects at once.",
                zh=f"Git LFS 请求最多 {MAX_BODY_BYTES} 字节，请减少每批对象的数量。",
            )
        )
    return body
