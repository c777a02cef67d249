"""`trainyard check`, and what it has to say beyond a check: the rules and the schema of the run file."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainyard.cli.client import ApiError
from trainyard.cli.terminal import client, command, language, print_json
from trainyard.model.errors import InvalidInput, UserError
from trainyard.model.text import Text

if TYPE_CHECKING:
    from trainyard.model.finding import Finding

_FORMATS = ("text", "json", "sarif")
_COULD_NOT_CHECK = 2


def add(subparsers: Any) -> None:
    check = command(subparsers, "check", _check, "what validation would say about a folder or a commit")
    check.add_argument("path", nargs="?", type=Path, default=Path(), help="a work tree, as it would be committed")
    _formats(check)
    instead = check.add_mutually_exclusive_group()
    instead.add_argument("--commit", metavar="REV", help="check this commit of the repository there instead")
    instead.add_argument("--pushed", action="store_true", help="check what git tells a pre-push hook on standard input")
    instead.add_argument("--install-hook", action="store_true", help="check what is pushed, before it is pushed")
    instead.add_argument("--schema", action="store_true", help="print the JSON Schema of trainyard.yaml")
    instead.add_argument("--explain", metavar="RULE", help="print what a rule means, with examples")
    findings = command(subparsers, "findings", _findings, "what validation said about a run", "run")
    _formats(findings)


def _formats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=_FORMATS, default="text")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def _check(options: argparse.Namespace) -> int:
    """Exit status 0: clean or only warnings; 1: errors; 2: it could not be checked, for whatever reason."""
    try:
        return _act(options)
    except UserError:
        raise
    except Exception:  # noqa: BLE001 - 1 would say that the repository has errors
        traceback.print_exc()
        return _COULD_NOT_CHECK


def _act(options: argparse.Namespace) -> int:
    from trainyard.validation.laptop import check_path, install_hook

    if options.schema:
        from trainyard.validation.schema import schema_text

        sys.stdout.write(schema_text())
    elif options.explain:
        sys.stdout.write(_explained(options.explain))
    elif options.install_hook:
        print(install_hook(options.path))
    elif options.pushed:
        return _check_pushed(options)
    else:
        report = check_path(options.path, options.commit, options.url)
        sys.stdout.write(_written(report.findings, options.format))
        return report.exit_status
    return 0


def _check_pushed(options: argparse.Namespace) -> int:
    from trainyard.validation.laptop import check_pushed, pushed_refs

    reports = check_pushed(options.path, pushed_refs(sys.stdin), options.url)
    for ref, report in reports:
        if options.format == "text":
            print(f"{ref.ref} ({ref.object_id[:10]})")
        sys.stdout.write(_written(report.findings, options.format))
    return max((report.exit_status for _, report in reports), default=0)


def _findings(options: argparse.Namespace) -> None:
    from trainyard.model.finding import Finding

    document = client(options).get(f"/v1/runs/{options.run}/findings")
    if options.format == "json":
        print_json(document)
        return
    try:
        found = [Finding.model_validate(one) for one in document["findings"]]
    except (KeyError, TypeError, ValueError):
        raise ApiError(0, "not_understood", "the server's findings are not understood; is this program old?") from None
    sys.stdout.write(_written(found, options.format))


def _written(findings: list[Finding], form: str) -> str:
    from trainyard.validation.render import as_json, as_sarif, as_text

    if form == "json":
        return as_json(findings)
    if form == "sarif":
        return as_sarif(findings, language())
    return as_text(findings, language(), colour=sys.stdout.isatty())


def _explained(rule_id: str) -> str:
    from trainyard.validation.rules import REGISTRY
    from trainyard.validation.rules.documentation import rule_text
    from trainyard.validation.suggestion import nearest

    if rule_id in REGISTRY:
        return rule_text(rule_id, language())
    meant = nearest(rule_id, REGISTRY)
    listed = ", ".join(REGISTRY)
    raise InvalidInput(
        Text(
            en=f"There is no rule {rule_id!r}. " + (f"Did you mean {meant}?" if meant else f"The rules: {listed}."),
            zh=f"没有规则 {rule_id!r}。" + (f"是否想写 {meant}？" if meant else f"全部规则：{listed}。"),
        )
    )
