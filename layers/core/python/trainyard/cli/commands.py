"""The commands of `trainyard`. Exit status: 0 done, 1 refused or (`check`) errors found, 2 could not be tried."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainyard import __version__
from trainyard.cli.client import ApiError, Client
from trainyard.model.errors import UserError
from trainyard.model.text import Language

_POLL_SECONDS = 1.0


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options) or 0)
    except UserError as error:
        print(f"trainyard: {error.message.in_language(_language())}", file=sys.stderr)
        return 2
    except ApiError as error:
        print(f"trainyard: {error.message}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trainyard", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--url", default=os.environ.get("TRAINYARD_URL"), help="address of the API (TRAINYARD_URL)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = _command(commands, "check", _check, "what validation would say about a folder or a commit")
    check.add_argument("path", nargs="?", type=Path, default=Path(), help="a work tree, as it would be committed")
    check.add_argument("--commit", help="check this commit of the repository there instead")
    check.add_argument("--format", choices=["text", "json", "sarif"], default="text")
    check.add_argument("--install-hook", action="store_true", help="check what is pushed, before it is pushed")
    _command(commands, "list", _list, "a project's runs, newest first", "project")
    _command(commands, "show", _show, "one run", "run")
    logs = _command(commands, "logs", _logs, "what a run printed", "run")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    metrics = _command(commands, "metrics", _metrics, "metrics of a run, or of a log or metrics file")
    metrics.add_argument("source", metavar="FILE|RUN", help="a file on this machine, or the id of a run")
    metrics.add_argument("--json", action="store_true", help="as JSON; the default, and the only form so far")
    _command(commands, "stop", _stop, "stop a run", "run")
    _command(commands, "rerun", _rerun, "run it again: same commit, same inputs", "run")
    download = _command(commands, "download", _download, "what a run left in its output folder", "run")
    download.add_argument("folder", nargs="?", type=Path, default=Path())
    _command(commands, "catalog", _catalog, "frameworks and flavors")
    return parser


def _command(commands: Any, name: str, act: Any, words: str, *places: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    for place in places:
        command.add_argument(place, help="OWNER/NAME" if place == "project" else "id of the run")
    command.set_defaults(act=act)
    return command


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
        sys.stdout.write(as_sarif(report.findings, _language()))
    else:
        sys.stdout.write(as_text(report.findings, _language(), colour=sys.stdout.isatty()))
    return report.exit_status


def _language() -> Language:
    return "zh" if os.environ.get("LANG", "").startswith("zh") else "en"


def _client(options: argparse.Namespace) -> Client:
    if not options.url:
        raise ApiError(0, "no_url", "say where the API is: --url https://HOST, or TRAINYARD_URL")
    return Client(options.url, os.environ.get("TRAINYARD_TOKEN"), _language())


def _list(options: argparse.Namespace) -> None:
    for one in _client(options).pages(f"/v1/projects/{options.project}/runs", "runs"):
        verdict = one["evaluation"].get("verdict") or ""
        print(f"{one['id']}  {one['state']:<10} {verdict:<12} {(one['commit'] or '')[:10]:<10} {one['name']}")


def _show(options: argparse.Namespace) -> None:
    _print(_client(options).get(f"/v1/runs/{options.run}"))


def _logs(options: argparse.Namespace) -> None:
    client, offset = _client(options), 0
    while True:
        page = client.get(f"/v1/runs/{options.run}/log", offset=offset)
        sys.stdout.write(page["text"])
        sys.stdout.flush()
        read_on = page["next_offset"] > offset
        offset = page["next_offset"]
        if page["end"] or (not read_on and not options.follow):
            return
        if not read_on:
            time.sleep(_POLL_SECONDS)


def _metrics(options: argparse.Namespace) -> None:
    path = Path(options.source)
    if path.is_file():
        from trainyard.logs.laptop import read_file

        _print(json.loads(read_file(path).to_json()))
    else:
        _print(_client(options).get(f"/v1/runs/{options.source}/metrics"))


def _stop(options: argparse.Namespace) -> None:
    print(_client(options).post(f"/v1/runs/{options.run}/stop")["state"])


def _rerun(options: argparse.Namespace) -> None:
    print(_client(options).post(f"/v1/runs/{options.run}/rerun")["id"])


def _download(options: argparse.Namespace) -> None:
    client = _client(options)
    root = options.folder.resolve()
    for one in client.get(f"/v1/runs/{options.run}/outputs")["outputs"]:
        target = (root / one["path"]).resolve()
        if not target.is_relative_to(root):
            raise ApiError(0, "unsafe_path", f"{one['path']!r} leads out of {root}; it was not downloaded")
        target.parent.mkdir(parents=True, exist_ok=True)
        print(f"{client.download(one['address'], target):>12}  {one['path']}")


def _catalog(options: argparse.Namespace) -> None:
    _print(_client(options).get("/v1/catalog"))


def _print(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))
