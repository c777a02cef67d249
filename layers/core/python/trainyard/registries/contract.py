"""What every registry can do for us."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Protocol

from trainyard.hosts.contract import HostUnavailableError
from trainyard.hosts.requests import opened

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (OCI_INDEX, DOCKER_INDEX)
MANIFESTS = (*INDEXES, OCI_MANIFEST, DOCKER_MANIFEST)
MAX_MANIFEST_BYTES = 4 << 20
"""The specification's own limit, https://github.com/opencontainers/distribution-spec/blob/main/spec.md"""


class ImageMissingError(Exception):
    """There is no such image, or not for us: registries often tell these two in the same words."""


class LoginRefusedError(ImageMissingError):
    """The registry does not take the user and password that we have for it."""


@dataclass(frozen=True)
class Manifest:
    digest: str
    """Of `body`, checked."""
    kind: str
    """Its media type."""
    body: bytes


class Readable(Protocol):
    """A content that arrives piece by piece."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, b"" at the end. HostUnavailableError where it breaks off."""


class Registry(ABC):
    """One registry, for as long as somebody is busy with one image."""

    @abstractmethod
    def manifest(self, repository: str, reference: str) -> Manifest:
        """What a tag or digest stands for now.

        Raises:
            ImageMissingError: nothing that we may read.
            InvalidInput: the registry leads to an address that we do not connect to.
            HostUnavailableError: it could not be reached now, or did not answer sensibly.
        """

    @abstractmethod
    def blob(self, repository: str, digest: str) -> AbstractContextManager[Readable]:
        """A content by its digest, which whoever reads it has to check. The errors of `manifest`."""


def checked(body: bytes, kind: str, expected: str | None) -> Manifest:
    """The manifest with its own digest. HostUnavailableError where that is not the `expected` one: it was damaged."""
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    if expected and digest != expected:
        raise HostUnavailableError(f"the registry sent {digest} for {expected}")
    return Manifest(digest, kind, body)


@contextmanager
def downloaded(url: str, query: str = "", headers: dict[str, str] | None = None) -> Iterator[Readable]:
    """The content at an address that a registry gave us."""
    try:
        with opened(url, headers or {}, query=query) as response:
            yield _Content(response)
    except (OSError, HTTPException) as error:
        raise HostUnavailableError(f"no content: {type(error).__name__}") from error


class _Content:
    def __init__(self, response: HTTPResponse) -> None:
        self._response = response

    def read(self, size: int, /) -> bytes:
        try:
            return self._response.read(size)
        except (OSError, HTTPException) as error:
            raise HostUnavailableError(f"the content broke off: {type(error).__name__}") from error
