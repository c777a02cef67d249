"""What a run left, onto this machine."""

from __future__ import annotations

import argparse
import sys
import urllib.parse
from pathlib import Path
from typing import Any

from trainyard.cli.client import ApiError, Client
from trainyard.cli.commands.logs import add_part, part_of
from trainyard.cli.terminal import client, command, print_json, wants_json, with_json


def add(subparsers: Any) -> None:
    download = with_json(command(subparsers, "download", _download, "what a run left in its output folder", "run"))
    download.add_argument("folder", nargs="?", type=Path, default=Path(), help="where to; here if left out")
    download.add_argument("--aim", action="store_true", help="its Aim repository instead, which `aim up` opens")
    download.add_argument("--log", action="store_true", help="its log instead, as RUN.gz")
    add_part(download)


def _download(options: argparse.Namespace) -> None:
    api = client(options)
    root = options.folder.resolve()
    root.mkdir(parents=True, exist_ok=True)
    if options.log:
        part = part_of(options)
        target = root / ("-".join([options.run, *(f"{kind}-{index}" for kind, index in part.items())]) + ".gz")
        address = f"/v1/runs/{options.run}/log.gz" + (f"?{urllib.parse.urlencode(part)}" if part else "")
        size = api.download_from(address, target)
        _say(options, [{"path": target.name, "size": size}])
        return
    # All are looked at before the first byte comes: a list that leads out of the folder is refused whole.
    place, key = ("aim/files", "files") if options.aim else ("outputs", "outputs")
    listed = api.pages(f"/v1/runs/{options.run}/{place}", key, **part_of(options))
    files = [(one, _inside(root, one["path"])) for one in listed]
    if sys.stderr.isatty():
        _with_progress(api, files)
    else:
        for one, target in files:
            _fetch(api, one, target)
    _say(options, [{"path": one["path"], "size": one["size"]} for one, _ in files])


def _say(options: argparse.Namespace, files: list[Any]) -> None:
    """What was written into the folder."""
    if wants_json(options):
        print_json({"folder": str(options.folder), "files": files})
    else:
        for one in files:
            print(f"{one['size']:>12}  {one['path']}")


def _inside(root: Path, path: str) -> Path:
    target = (root / path).resolve()
    if not target.is_relative_to(root) or target == root:
        raise ApiError(0, "unsafe_path", f"{path!r} leads out of {root}; nothing was downloaded")
    return target


def _fetch(api: Client, one: Any, target: Path, told: Any = None) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    return api.download(one["address"], target, told)


def _with_progress(api: Client, files: list[tuple[Any, Path]]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.fields[path]}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for one, target in files:
            task = progress.add_task("", total=one["size"], path=one["path"])
            _fetch(api, one, target, lambda size, task=task: progress.advance(task, size))
