"""The commands of `trainyard`, one file for each kind of thing."""

from trainyard.cli.commands import check, logs, runs

GROUPS = (check, runs, logs)
"""In the order in which `trainyard --help` lists them."""
