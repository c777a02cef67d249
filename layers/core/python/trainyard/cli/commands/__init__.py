"""The commands of `trainyard`, one file for each kind of thing."""

from trainyard.cli.commands import (
    ascend,
    bundle,
    check,
    compare,
    download,
    installation,
    logs,
    metrics,
    operator,
    registries,
    repositories,
    runs,
    storage,
)

GROUPS = (
    check,
    runs,
    logs,
    metrics,
    compare,
    bundle,
    download,
    repositories,
    registries,
    storage,
    installation,
    operator,
    ascend,
)
"""In the order in which `trainyard --help` lists them."""
