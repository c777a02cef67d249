"""What a registry tells of an image, as far as we know it: https://github.com/opencontainers/image-spec"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from trainyard.model.image import Digest

MAX_LAYERS = 500
LAYERS = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)
"""Media types of the layers that the runner unpacks, in either house's spelling."""


class _Part(BaseModel):
    """Of a document that others wrote: what we know of it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Platform(_Part):
    os: str = ""
    architecture: str = ""
    variant: Annotated[str, BeforeValidator(lambda value: value or "")] = ""

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


class Descriptor(_Part):
    mediaType: str = ""  # noqa: N815 - as it is written there
    digest: Digest
    size: int = Field(ge=0)
    platform: Platform | None = None


class Index(_Part):
    manifests: list[Descriptor] = Field(max_length=1000)


class ImageManifest(_Part):
    config: Descriptor
    layers: list[Descriptor] = Field(min_length=1, max_length=MAX_LAYERS)


class _Settings(_Part):
    Env: list[str] | None = None


class ImageConfig(_Part):
    os: str = Field(min_length=1)
    architecture: str = Field(min_length=1)
    config: _Settings | None = None

    @property
    def platform(self) -> Platform:
        return Platform(os=self.os, architecture=self.architecture)

    def environment(self) -> dict[str, str]:
        pairs = [line.partition("=") for line in (self.config.Env if self.config else None) or []]
        return {name: value for name, equals, value in pairs if name and equals and "\0" not in name + value}
