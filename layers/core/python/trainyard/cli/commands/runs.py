"""Runs: list, show, stop, approve, run again, download, and the catalogue to choose from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainyard.cli.client import ApiError
from trainyard.cli.terminal import client, command, print_json


def add(subparsers: Any) -> None:
    command(subparsers, "list", _list, "a project's runs, newest first", "project")
    command(subparsers, "show", _show, "one run", "run")
    command(subparsers, "stop", _stop, "stop a run", "run")
    command(subparsers, "why", _why, "why a run is not running yet", "run")
    command(subparsers, "approve", _approve, "agree to what a run over its project's budget may cost", "run")
    command(subparsers, "rerun", _rerun, "run it again: same commit, same inputs", "run")
    download = command(subparsers, "download", _download, "what a run left in its output folder", "run")
    download.add_argument("folder", nargs="?", type=Path, default=Path())
    command(subparsers, "catalog", _catalog, "frameworks and flavors")


def _list(options: argparse.Namespace) -> None:
    for one in client(options).pages(f"/v1/projects/{options.project}/runs", "runs"):
        verdict = one["evaluation"].get("verdict") or ""
        print(f"{one['id']}  {one['state']:<10} {verdict:<12} {(one['commit'] or '')[:10]:<10} {one['name']}")


def _show(options: argparse.Namespace) -> None:
    print_json(client(options).get(f"/v1/runs/{options.run}"))


def _stop(options: argparse.Namespace) -> None:
    print(client(options).post(f"/v1/runs/{options.run}/stop")["state"])


def _why(options: argparse.Namespace) -> None:
    told = client(options).get(f"/v1/runs/{options.run}/waiting")
    print(told["waiting"]["en"] if told["waiting"] else told["state"])


def _approve(options: argparse.Namespace) -> None:
    print(client(options).post(f"/v1/runs/{options.run}/approve")["state"])


def _rerun(options: argparse.Namespace) -> None:
    print(client(options).post(f"/v1/runs/{options.run}/rerun")["id"])


def _download(options: argparse.Namespace) -> None:
    api = client(options)
    root = options.folder.resolve()
    for one in api.get(f"/v1/runs/{options.run}/outputs")["outputs"]:
        target = (root / one["path"]).resolve()
        if not target.is_relative_to(root):
            raise ApiError(0, "unsafe_path", f"{one['path']!r} leads out of {root}; it was not downloaded")
        target.parent.mkdir(parents=True, exist_ok=True)
        print(f"{api.download(one['address'], target):>12}  {one['path']}")


def _catalog(options: argparse.Namespace) -> None:
    print_json(client(options).get("/v1/catalog"))
