"""What an image's name stands for now: the manifest for our machines, its layers, and what it sets for its programs."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from trainyard.hosts.contract import HostUnavailableError
from trainyard.model.errors import InvalidInput
from trainyard.model.image import ImageLayer, ImageReference, PinnedImage
from trainyard.registries.contract import INDEXES, ImageMissingError, LoginRefusedError, Manifest, Registry
from trainyard.validation.images import faults
from trainyard.validation.images.documents import LAYERS, Descriptor, ImageConfig, ImageManifest, Index, Platform

MAX_CONFIG_BYTES = 4 << 20
_PIECE = 1 << 16
# Levels of x86-64, the one that every machine has first: https://gitlab.com/x86-psABIs/x86-64-ABI
_VARIANTS = ("", "v1", "v2", "v3")


def look_up(reference: ImageReference, source: Registry) -> PinnedImage:
    """Ask the registry.

    Raises:
        ImageFault: there is none that a run could stand on.
        HostUnavailableError: the registry could not be reached now.
    """
    shown = str(reference)
    try:
        top = source.manifest(reference.repository, reference.digest or reference.tag or "")
        own = source.manifest(reference.repository, _for_our_machines(top, shown)) if top.kind in INDEXES else top
        manifest = _read(ImageManifest, own.body, shown)
        config = _read(ImageConfig, _content(source, reference.repository, manifest.config, shown), shown)
    except LoginRefusedError:
        raise faults.login_refused(reference) from None
    except ImageMissingError:
        raise faults.missing(shown) from None
    except InvalidInput as refused:
        raise faults.leads_astray(shown, refused.message) from None
    if not _is_ours(config.platform):
        raise faults.other_platform(shown, str(config.platform))
    _check_layers(manifest.layers, shown)
    return PinnedImage(
        reference=str(reference.pinned(top.digest)),
        manifest=own.digest,
        layers=[ImageLayer(digest=layer.digest, size=layer.size) for layer in manifest.layers],
        environment=config.environment(),
    )


Document = TypeVar("Document", bound=BaseModel)


def _read(kind: type[Document], body: bytes, shown: str) -> Document:
    try:
        return kind.model_validate_json(body)
    except ValidationError:
        raise faults.unreadable(shown) from None


def _for_our_machines(top: Manifest, shown: str) -> str:
    """The digest of the manifest for our machines."""
    entries = _read(Index, top.body, shown).manifests
    ours = {one.platform.variant: one.digest for one in reversed(entries) if one.platform and _is_ours(one.platform)}
    # The platform may be left out. Then the image itself says what it is for.
    ours[""] = ours.get("") or next((entry.digest for entry in entries if entry.platform is None), "")
    digest = next((ours[variant] for variant in _VARIANTS if ours.get(variant)), None)
    if digest is None:
        # What is `unknown` are signatures and the like.
        known = [str(entry.platform) for entry in entries if entry.platform and entry.platform.os != "unknown"]
        raise faults.other_platform(shown, ", ".join(known[:10]) or "-")
    return digest


def _is_ours(platform: Platform) -> bool:
    return (platform.os, platform.architecture) == (faults.SYSTEM, faults.ARCHITECTURE)


def _check_layers(layers: list[Descriptor], shown: str) -> None:
    strange = next((layer.mediaType for layer in layers if layer.mediaType not in LAYERS), None)
    if strange is not None:
        raise faults.strange_layer(shown, strange)
    size = sum(layer.size for layer in layers)
    if size > faults.MAX_BYTES:
        raise faults.too_large(shown, size)


def _content(source: Registry, repository: str, described: Descriptor, shown: str) -> bytes:
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
