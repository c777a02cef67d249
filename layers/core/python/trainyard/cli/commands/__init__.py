"""The commands of `trainyard`, one file for each kind of thing."""

from trainyard.cli.commands import check, compare, logs, metrics, runs

GROUPS = (check, runs, logs, metrics, compare)
"""In the order in which `trainyard --help` lists them."""
