"""Container images of users' own: how they are named, which registries may be named, and what one is pinned to.

The names are Docker's, https://pkg.go.dev/github.com/distribution/reference; the registry has to be written out, so
that nobody gets an image from where he did not look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_MAX_NAME = 255
MAX_LENGTH = _MAX_NAME + len(":") + 128 + len("@sha256:") + 64
"""Characters of a reference."""
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_REGISTRY = re.compile(rf"(?P<host>{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[0-9]{{1,5}}))?")
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PATH}(?:/{_PATH})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, StringConstraints(pattern=DIGEST)]


@dataclass(frozen=True)
class ImageReference:
    """`REGISTRY/REPOSITORY[:TAG][@DIGEST]`, with a tag, a digest or both."""

    registry: str
    """Host, and port where there is one; in lower case."""
    repository: str
    tag: str | None = None
    digest: str | None = None
    """With a tag beside it, the tag is only for people."""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """ValueError, which says what to write, for anything else."""
        if len(text) > MAX_LENGTH:
            raise ValueError(f"the name of an image has at most {MAX_LENGTH} characters")
        name, at, digest = text.partition("@")
        if at and not re.fullmatch(DIGEST, digest):
            raise ValueError("write an image's digest as @sha256: and 64 hexadecimal digits")
        registry, slash, rest = name.partition("/")
        repository, colon, tag = rest.partition(":")
        if not slash or not is_registry(registry):
            raise ValueError("write an image with its registry, such as docker.io/library/python:3.12")
        if not _REPOSITORY.fullmatch(repository) or len(registry) + 1 + len(repository) > _MAX_NAME:
            raise ValueError("an image's repository is small letters, digits and . _ - between slashes")
        if colon and not _TAG.fullmatch(tag):
            raise ValueError("an image's tag is at most 128 letters, digits, and . _ - after the first")
        if not colon and not at:
            raise ValueError("write an image with a tag or a digest")
        return cls(registry.lower(), repository, tag if colon else None, digest if at else None)

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def pinned(self, digest: str) -> ImageReference:
        return replace(self, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.name + tag + (f"@{self.digest}" if self.digest else "")


def is_registry(text: str) -> bool:
    """Docker's rule for what is a registry and not the first part of a name on Docker Hub."""
    found = _REGISTRY.fullmatch(text)
    if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
        return False
    return "." in text or ":" in text or text == "localhost"


def is_allowed(reference: ImageReference, allowed: Iterable[str]) -> bool:
    """Whether one of `REGISTRY` and `REGISTRY/PREFIX` covers it. A prefix ends where a part of the name ends."""
    for entry in allowed:
        registry, _, prefix = entry.strip().partition("/")
        prefix = prefix.strip("/")
        covers = not prefix or reference.repository == prefix or reference.repository.startswith(f"{prefix}/")
        if registry.lower() == reference.registry and covers:
            return True
    return False


class ImageLayer(BaseModel):
    """One archive of an image's files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Digest
    """Of the archive as it is stored, compressed or not."""
    size: int = Field(ge=0)
    """Bytes, as it is stored."""


class PinnedImage(BaseModel):
    """An image as it was when the run was validated: all that a runner needs besides the layers themselves."""

    model_config = ConfigDict(extra="forbid")

    reference: str
    """With the digest that the tag had then: an index of several platforms, or one platform's manifest."""
    manifest: Digest
    """The platform's manifest, which names exactly these layers."""
    layers: list[ImageLayer]
    """The first lies lowest."""
    environment: dict[str, str] = {}
    """What the image sets for its programs."""

    @property
    def size(self) -> int:
        """Bytes to be fetched."""
        return sum(layer.size for layer in self.layers)
