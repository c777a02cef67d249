"""What a run said: logs and metrics."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from trainyard.cli.terminal import client, command, print_json

_POLL_SECONDS = 1.0


def add(subparsers: Any) -> None:
    logs = command(subparsers, "logs", _logs, "what a run printed", "run")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    metrics = command(subparsers, "metrics", _metrics, "metrics of a run, or of a log or metrics file")
    metrics.add_argument("source", metavar="FILE|RUN", help="a file on this machine, or the id of a run")
    metrics.add_argument("--json", action="store_true", help="as JSON; the default, and the only form so far")


def _logs(options: argparse.Namespace) -> None:
    api, offset = client(options), 0
    while True:
        page = api.get(f"/v1/runs/{options.run}/log", offset=offset)
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

        print_json(json.loads(read_file(path).to_json()))
    else:
        print_json(client(options).get(f"/v1/runs/{options.source}/metrics"))
