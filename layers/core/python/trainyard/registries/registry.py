"""Which registry a name means."""

from __future__ import annotations

from trainyard.registries.contract import Registry
from trainyard.registries.ecr import EcrRegistry, ecr_host
from trainyard.registries.oci import OciRegistry


def registry(host: str) -> Registry:
    """The registry at `host[:port]`."""
    ours = ecr_host(host)
    if ours is None:
        return OciRegistry(host)
    from trainyard.clients import client

    return EcrRegistry(ours, client("ecr", region=ours.region))
