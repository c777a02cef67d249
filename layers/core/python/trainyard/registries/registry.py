"""Which registry a name means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainyard.clients import make_client
from trainyard.model.registry_login import RegistryCredentials
from trainyard.registries.contract import Registry
from trainyard.registries.ecr import EcrRegistry, ecr_host
from trainyard.registries.oci import OciRegistry

if TYPE_CHECKING:
    from boto3 import Session


def registry(host: str, session: Session | None = None, credentials: RegistryCredentials | None = None) -> Registry:
    """The registry at `host[:port]`.

    `session`: with rights in AWS that are not the process's own. `credentials`: for any other registry than ECR.
    """
    ours = ecr_host(host)
    if ours is None:
        return OciRegistry(host, credentials)
    return EcrRegistry(ours, make_client("ecr", ours.region, session=session))
