"""An image of a user's own is pinned: its tag becomes a digest and its layers, or a finding that says what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainyard.hosts.contract import HostUnavailableError
from trainyard.model.errors import InvalidInput
from trainyard.model.finding import Finding
from trainyard.model.image import Digest, ImageLayer, ImageReference, PinnedImage, is_allowed
from trainyard.model.settings import settings
from trainyard.model.spec import RunSpec
from trainyard.model.text import Text
from trainyard.registries.contract import INDEXES, ImageMissingError, Manifest, Registry
from trainyard.registries.registry import registry
from trainyard.validation.rules import rule
from trainyard.validation.view import RunView

SYSTEM, ARCHITECTURE = "linux", "amd64"
"""Of the machines in `infra/compute.yaml`."""
MAX_BYTES = 20 << 30
"""Of an image as it is fetched: what a machine's disk of the usual size holds once it is unpacked."""
MAX_LAYERS = 500
MAX_CONFIG_BYTES = 4 << 20
_PIECE = 1 << 16
# What Python's own tar reader takes, in either house's spelling.
_READABLE = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)
Registries = Callable[[str], Registry]


class ImageFault(Exception):
    """An image that no run can stand on."""

    def __init__(self, rule_id: str, message: Text, fix: Text) -> None:
        super().__init__(message.en)
        self.rule_id, self.message, self.fix = rule_id, message, fix


@dataclass(frozen=True)
class ImagePinning:
    """`spec` with the digest beside the image's tag, where it could be looked up."""

    spec: RunSpec
    image: PinnedImage | None = None
    findings: list[Finding] = field(default_factory=list)


def pin_image(view: RunView, registries: Registries = registry) -> ImagePinning:
    """Look the run's image up, if it names one.

    Raises:
        HostUnavailableError: the registry could not be reached now; deliver the event again.
    """
    if not view.spec.image:
        return ImagePinning(view.spec)
    reference = ImageReference.parse(view.spec.image)
    try:
        _check_allowed(reference)
        image = _pinned(reference, registries(reference.registry))
    except ImageFault as fault:
        finding = rule(fault.rule_id).finding(view.place("image"), fault.message, fault.fix)
        return ImagePinning(view.spec, findings=[finding])
    return ImagePinning(view.spec.model_copy(update={"image": image.reference}), image)


def _check_allowed(reference: ImageReference) -> None:
    allowed = settings().allowed_image_registries
    if is_allowed(reference, allowed):
        return
    if not allowed:
        raise ImageFault(
            "image-registry",
            Text(en="This installation takes no images of users' own.", zh="当前部署不接受自定义镜像。"),
            Text(
                en="Choose a framework, or ask the operator to set AllowedImageRegistries.",
                zh="请选择目录中的框架，或请管理员设置 AllowedImageRegistries。",
            ),
        )
    listed = ", ".join(allowed)
    raise ImageFault(
        "image-registry",
        Text(
            en=f"Images of `{reference.name}` are not allowed here.", zh=f"此处不允许使用 `{reference.name}` 的镜像。"
        ),
        Text(
            en=f"Push the image to one of these, or ask the operator: {listed}.",
            zh=f"请将镜像推送到以下位置之一，或联系管理员：{listed}。",
        ),
    )


def _pinned(reference: ImageReference, source: Registry) -> PinnedImage:
    shown = str(reference)
    try:
        top = source.manifest(reference.repository, reference.digest or reference.tag or "")
        own = source.manifest(reference.repository, _platform(top, shown)) if top.kind in INDEXES else top
        manifest = _read(_Manifest, own.body, shown)
        config = _read(_Config, _content(source, reference.repository, manifest.config, shown), shown)
    except ImageMissingError:
        raise ImageFault(
            "image-missing",
            Text(
                en=f"There is no image {shown} that may be pulled from here.",
                zh=f"没有可从此处拉取的镜像 {shown}。",
            ),
            Text(
                en="Check name and tag and push it. Anybody must be able to pull it, or it lies in this account's ECR.",
                zh="请检查拼写和标签、推送镜像，并允许公开拉取（或存放在本账号的 ECR 中）。",
            ),
        ) from None
    except InvalidInput as refused:
        raise ImageFault(
            "image-missing",
            Text(
                en=f"The registry of {shown} leads to an address that is not public. {refused.message.en}",
                zh=f"{shown} 的镜像仓库指向非公开地址。{refused.message.zh}",
            ),
            Text(en="Use a registry that the internet reaches.", zh="请使用可从互联网访问的镜像仓库。"),
        ) from None
    _check_platform(config.os, config.architecture, shown)
    _check_layers(manifest.layers, shown)
    return PinnedImage(
        reference=str(reference.pinned(top.digest)),
        manifest=own.digest,
        layers=[ImageLayer(digest=layer.digest, size=layer.size) for layer in manifest.layers],
        environment=config.environment(),
    )


class _Part(BaseModel):
    """Of a document that others wrote: what we know of it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Platform(_Part):
    os: str = ""
    architecture: str = ""


class _Descriptor(_Part):
    mediaType: str = ""  # noqa: N815 - as it is written there
    digest: Digest
    size: int = Field(ge=0)
    platform: _Platform = _Platform()


class _Index(_Part):
    manifests: list[_Descriptor] = Field(max_length=1000)


class _Manifest(_Part):
    config: _Descriptor
    layers: list[_Descriptor] = Field(min_length=1, max_length=MAX_LAYERS)


class _Settings(_Part):
    Env: list[str] | None = None


class _Config(_Platform):
    config: _Settings | None = None

    def environment(self) -> dict[str, str]:
        pairs = [line.partition("=") for line in (self.config.Env if self.config else None) or []]
        return {name: value for name, equals, value in pairs if name and equals and "\0" not in name + value}


Document = TypeVar("Document", bound=BaseModel)


def _read(kind: type[Document], body: bytes, shown: str) -> Document:
    try:
        return kind.model_validate_json(body)
    except ValidationError:
        raise ImageFault(
            "image-unusable",
            Text(en=f"{shown} is no container image that can be read.", zh=f"{shown} 不是可读取的容器镜像。"),
            Text(
                en="Build and push it again with docker, podman or buildah.",
                zh="请用 docker、podman 或 buildah 重新构建并推送。",
            ),
        ) from None


def _platform(top: Manifest, shown: str) -> str:
    """The digest of the manifest for our machines."""
    entries = _read(_Index, top.body, shown).manifests
    for entry in entries:
        if (entry.platform.os, entry.platform.architecture) == (SYSTEM, ARCHITECTURE):
            return entry.digest
    # What is `unknown` are signatures and the like.
    known = [
        f"{entry.platform.os}/{entry.platform.architecture}" for entry in entries if entry.platform.os != "unknown"
    ]
    raise _other_platform(shown, ", ".join(known[:10]) or "-")


def _check_platform(system: str, architecture: str, shown: str) -> None:
    if (system, architecture) != (SYSTEM, ARCHITECTURE):
        raise _other_platform(shown, f"{system}/{architecture}")


def _other_platform(shown: str, known: str) -> ImageFault:
    return ImageFault(
        "image-unusable",
        Text(
            en=f"{shown} is made for {known}; the machines here are {SYSTEM}/{ARCHITECTURE}.",
            zh=f"{shown} 面向 {known}；这里的机器是 {SYSTEM}/{ARCHITECTURE}。",
        ),
        Text(
            en=f"Build it with `docker build --platform {SYSTEM}/{ARCHITECTURE}` and push it again.",
            zh=f"请用 `docker build --platform {SYSTEM}/{ARCHITECTURE}` 构建并重新推送。",
        ),
    )


def _check_layers(layers: list[_Descriptor], shown: str) -> None:
    strange = next((layer.mediaType for layer in layers if layer.mediaType not in _READABLE), None)
    if strange is not None:
        raise ImageFault(
            "image-unusable",
            Text(
                en=f"{shown} has a layer of the kind {strange[:100]}.",
                zh=f"{shown} 含有 {strange[:100]} 类型的镜像层。",
            ),
            Text(
                en="Push it with layers of the kind tar+gzip: `docker buildx build --output "
                "type=registry,compression=gzip,force-compression=true`.",
                zh="请以 tar+gzip 镜像层推送：`docker buildx build --output "
                "type=registry,compression=gzip,force-compression=true`。",
            ),
        )
    size = sum(layer.size for layer in layers)
    if size > MAX_BYTES:
        raise ImageFault(
            "image-unusable",
            Text(
                en=f"{shown} has {size / 2**30:.1f} GiB; {MAX_BYTES >> 30} GiB is the most.",
                zh=f"{shown} 有 {size / 2**30:.1f} GiB，上限为 {MAX_BYTES >> 30} GiB。",
            ),
            Text(
                en="Leave out what the training does not need; data and models are inputs.",
                zh="请去掉训练不需要的内容；数据和模型应作为输入。",
            ),
        )


def _content(source: Registry, repository: str, described: _Descriptor, shown: str) -> bytes:
    """A small content, checked against its digest."""
    found = b""
    with source.blob(repository, described.digest) as content:
        while len(found) <= MAX_CONFIG_BYTES and (piece := content.read(_PIECE)):
            found += piece
    if "sha256:" + hashlib.sha256(found).hexdigest() == described.digest:
        return found
    if len(found) > MAX_CONFIG_BYTES:
        return b""  # nothing that can be read
    raise HostUnavailableError(f"the registry sent something else for {described.digest} of {shown}")
