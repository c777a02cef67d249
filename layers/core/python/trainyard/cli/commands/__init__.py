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
    repositories,
    runs,
)

GROUPS = (check, runs, logs, metrics, compare, bundle, download, repositories, installation, operator, ascend)
"""In the order in which `trainyard --help` lists them."""
