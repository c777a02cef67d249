"""Objects read in great number or at great length.

boto3 spends more of the processor on one GetObject than a small object's whole way over the network takes, and Python
runs one thread at a time: ten thousand small files would wait for that alone. Here the client only signs addresses,
which are then read over connections that stay open. What breaks off is continued where it broke off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trainyard.clients import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS
from trainyard.store.objects import ObjectMissingError, Objects

if TYPE_CHECKING:
    from botocore.httpsession import URLLib3Session

_PIECE_BYTES = 1 << 20
# Without a byte of progress between them; the pauses add up to about six seconds.
_TRIES = 6
_PAUSE_SECONDS = 0.2
_FORBIDDEN, _MISSING, _CHANGED, _TOO_MANY, _SERVER_FAULT = 403, 404, 412, 429, 500


class ObjectChangedError(Exception):
    """What lies under the key is not the object that was asked for any more."""


class _BrokenOffError(Exception):
    """Worth another try."""


class Downloads:
    """Reads from one bucket. Safe to use by as many threads at a time as it has connections."""

    def __init__(self, objects: Objects, connections: int) -> None:
        self._objects = objects
        self._connections = connections
        self._made: URLLib3Session | None = None

    @property
    def _session(self) -> URLLib3Session:
        if self._made is None:
            from botocore.httpsession import URLLib3Session
            from botocore.utils import get_environ_proxies

            # Its stubs know one limit for both; it takes them apart all the same.
            limits: Any = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
            self._made = URLLib3Session(
                timeout=limits,
                max_pool_connections=self._connections,
                proxies=get_environ_proxies(self._objects.download_address("any")),
            )
        return self._made

    def stream(self, key: str, start: int = 0, end: int | None = None, etag: str = "") -> Iterator[bytes]:
        """Bytes from `start` up to, not including, `end` (None: to the object's end) in pieces of at most 1 MiB.

        Raises:
            ObjectMissingError: there is no such object.
            PermissionError: S3 does not let us read it; without the right to list, also where there is no such object.
            ObjectChangedError: its entity tag is not `etag`, where one is given.
            RuntimeError: S3 cannot be reached for some seconds, or answers with what it never should.
        """
        at, tries = start, _TRIES
        while True:
            try:
                for piece in self._once(key, at, end, etag):
                    at, tries = at + len(piece), _TRIES
                    yield piece
            except _BrokenOffError as error:
                tries -= 1
                if not tries:
                    raise RuntimeError(f"{key} could not be read") from error
                time.sleep(_PAUSE_SECONDS * 2 ** (_TRIES - tries - 1))
            else:
                return

    def _once(self, key: str, start: int, end: int | None, etag: str) -> Iterator[bytes]:
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import HTTPClientError
        from urllib3.exceptions import HTTPError

        # Headers that are no business of the signature: S3 heeds them all the same.
        headers = {"If-Match": etag} if etag else {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        request = AWSRequest("GET", self._objects.download_address(key), headers, stream_output=True)
        try:
            response = self._session.send(request.prepare())
        except HTTPClientError as error:
            raise _BrokenOffError from error
        _require_content(response, key, partial="Range" in headers)
        whole = False
        try:
            yield from response.raw.stream(_PIECE_BYTES)
            whole = True
        except (HTTPError, OSError) as error:
            raise _BrokenOffError from error
        finally:
            # A connection with unread bytes on it is of no use to the next request.
            response.raw.release_conn() if whole else response.raw.close()


def _require_content(response: Any, key: str, *, partial: bool) -> None:
    status = response.status_code
    if status == (206 if partial else 200):
        return
    response.raw.close()
    if status == _MISSING:
        raise ObjectMissingError(key)
    if status == _FORBIDDEN:
        raise PermissionError(key)
    if status == _CHANGED:
        raise ObjectChangedError(key)
    if status >= _SERVER_FAULT or status == _TOO_MANY:
        raise _BrokenOffError(status)
    raise RuntimeError(f"{key} could not be read: {status}")
