"""`trainyard check`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from trainyard.cli.terminal import command, language


def add(subparsers: Any) -> None:
    check = command(subparsers, "check", _check, "what validation would say about a folder or a commit")
    check.add_argument("path", nargs="?", type=Path, default=Path(), help="a work tree, as it would be committed")
    check.add_argument("--commit", help="check this commit of the repository there instead")
    check.add_argument("--format", choices=["text", "json", "sarif"], default="text")
    check.add_argument("--install-hook", action="store_true", help="check what is pushed, before it is pushed")


def _check(options: argparse.Namespace) -> int:
    from trainyard.validation.laptop import check_path, install_hook
    from trainyard.validation.render import as_json, as_sarif, as_text

    if options.install_hook:
        print(install_hook(options.path))
        return 0
    report = check_path(options.path, options.commit)
    if options.format == "json":
        sys.stdout.write(as_json(report.findings))
    elif options.format == "sarif":
        sys.stdout.write(as_sarif(report.findings, language()))
    else:
        sys.stdout.write(as_text(report.findings, language(), colour=sys.stdout.isatty()))
    return report.exit_status
