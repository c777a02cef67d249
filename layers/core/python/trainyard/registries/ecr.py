"""Amazon ECR's private registries, with this function's or this run's own rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainyard.registries.contract import (
    MANIFESTS,
    ImageMissingError,
    Manifest,
    Readable,
    Registry,
    checked,
    downloaded,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ecr import ECRClient

_HOST = re.compile(r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
# What ECR refuses for good; anything else may go through next time.
_REFUSALS = (
    "AccessDeniedException",
    "ImageNotFoundException",
    "InvalidParameterException",
    "LayersNotFoundException",
    "RepositoryNotFoundException",
)


@dataclass(frozen=True)
class EcrHost:
    account: str
    region: str


def ecr_host(registry: str) -> EcrHost | None:
    """Whose registry it is, and where; None if it is not ECR's."""
    found = _HOST.fullmatch(registry)
    return EcrHost(found["account"], found["region"]) if found else None


class EcrRegistry(Registry):
    def __init__(self, host: EcrHost, client: ECRClient) -> None:
        self._account, self._ecr = host.account, client

    def manifest(self, repository: str, reference: str) -> Manifest:
        wanted = "imageDigest" if reference.startswith("sha256:") else "imageTag"
        answer = self._call(
            self._ecr.batch_get_image,
            registryId=self._account,
            repositoryName=repository,
            imageIds=[{wanted: reference}],
            acceptedMediaTypes=list(MANIFESTS),
        )
        if not answer["images"]:
            why = answer["failures"][0]["failureReason"] if answer["failures"] else "not found"
            raise ImageMissingError(f"ECR: {why}")
        image = answer["images"][0]
        return checked(
            image["imageManifest"].encode(), image.get("imageManifestMediaType", ""), image["imageId"]["imageDigest"]
        )

    @contextmanager
    def blob(self, repository: str, digest: str) -> Iterator[Readable]:
        answer = self._call(
            self._ecr.get_download_url_for_layer,
            registryId=self._account,
            repositoryName=repository,
            layerDigest=digest,
        )
        url, _, query = answer["downloadUrl"].partition("?")
        with downloaded(url, query) as content:
            yield content

    def _call(self, act: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return act(**arguments)
        except self._ecr.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _REFUSALS:
                raise
            raise ImageMissingError(f"ECR: {error.response['Error'].get('Message', '')}") from error
