"""What S3 checks of a presigned request and the emulator does not.

The emulator refuses a wrong signature, a late request, an unknown key and a wrong checksum itself.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

_SIGNED_HEADERS = "X-Amz-SignedHeaders"
REFUSAL = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>There were headers present in the request which were not signed</Message></Error>"
)


def has_unsigned_headers(query: str, headers: Mapping[str, str]) -> bool:
    """Whether somebody added headers that change what is stored (tags, metadata, an ACL) to a presigned request."""
    parameters = parse_qs(query)
    if _SIGNED_HEADERS not in parameters:
        return False
    signed = parameters[_SIGNED_HEADERS][0].split(";")
    return any(name.startswith("x-amz-") and name not in signed for name in headers)
