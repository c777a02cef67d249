"""Objects read in great number or at great length.

boto3 spends more of the processor on one GetObject than a small object's whole way over the network takes, and Python
runs one thread at a time: ten thousand small files would wait for that alone. Here the client only signs requests,
which go over connections that stay open. What breaks off is continued where it broke off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from trainyard.clients import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS
from trainyard.store.objects import ObjectMissingError, Objects

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

# What a processor's cache holds: a piece is copied, hashed and written without a way to memory and back.
_PIECE_BYTES = 256 << 10
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
        self._bucket = objects.address()
        self._pool = _connect(self._bucket, connections)
        # A proxy that sees the request is told where it goes; whoever is spoken to directly knows.
        seen_by_proxy = self._pool.proxy is not None and self._pool.scheme == "http"
        self._target = self._bucket if seen_by_proxy else urlsplit(self._bucket).path

    def stream(self, key: str, start: int = 0, end: int | None = None, etag: str = "") -> Iterator[bytes]:
        """Bytes from `start` up to, not including, `end` (None: to the object's end) in pieces of at most 256 KiB.

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
        from urllib3.exceptions import HTTPError

        headers = {"If-Match": etag} if etag else {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        # Percent-encoded as S3 signs it.
        quoted = quote(key, safe="/~")
        request = AWSRequest("GET", self._bucket + quoted, headers)
        self._objects.sign_get(request)
        try:
            response = self._pool.urlopen(
                "GET",
                self._target + quoted,
                headers=dict(request.headers),
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            raise _BrokenOffError from error
        _require_content(response, key, partial="Range" in headers)
        whole = False
        try:
            yield from response.stream(_PIECE_BYTES)
            whole = True
        except (HTTPError, OSError) as error:
            raise _BrokenOffError from error
        finally:
            # A connection with unread bytes on it is of no use to the next request.
            response.release_conn() if whole else response.close()


def _connect(address: str, connections: int) -> HTTPConnectionPool:
    """Connections that stay open, by way of the environment's proxy where there is one."""
    from botocore.httpsession import get_cert_path
    from botocore.utils import get_environ_proxies
    from urllib3 import PoolManager, ProxyManager, Timeout

    settings: dict[str, Any] = {
        "maxsize": connections,
        "timeout": Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS),
        "retries": False,
        "ca_certs": get_cert_path(True),
    }
    proxy = get_environ_proxies(address).get(urlsplit(address).scheme)
    manager = ProxyManager(proxy, **settings) if proxy else PoolManager(**settings)
    return manager.connection_from_url(address)


def _require_content(response: BaseHTTPResponse, key: str, *, partial: bool) -> None:
    status = response.status
    if status == (206 if partial else 200):
        return
    response.close()
    if status == _MISSING:
        raise ObjectMissingError(key)
    if status == _FORBIDDEN:
        raise PermissionError(key)
    if status == _CHANGED:
        raise ObjectChangedError(key)
    if status >= _SERVER_FAULT or status == _TOO_MANY:
        raise _BrokenOffError(status)
    raise RuntimeError(f"{key} could not be read: {status}")
