"""The program. Exit status: 0 done; 1 refused, not found, or (`check`, `verify`, `reproduce`, `--wait`) it is not well;
2 the command line is wrong, or it could not be tried.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from trainyard import __version__
from trainyard.cli import commands
from trainyard.cli.client import ApiError
from trainyard.cli.terminal import language
from trainyard.model.errors import UserError


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line."""
    options = parser().parse_args(arguments)
    try:
        return int(options.act(options) or 0)
    except UserError as error:
        print(f"trainyard: {error.message.in_language(language())}", file=sys.stderr)
        return 2
    except ApiError as error:
        print(f"trainyard: {error.message}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 1


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    own = argparse.ArgumentParser(prog="trainyard", description=__doc__)
    own.add_argument("--version", action="version", version=__version__)
    own.add_argument("--url", help="address of the API; else TRAINYARD_URL, else that of `trainyard login`")
    subparsers = own.add_subparsers(required=True, metavar="COMMAND")
    for group in commands.GROUPS:
        group.add(subparsers)
    return own
