"""`trainyard metrics`: what a run measured, or what a log or metrics file says."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainyard.cli.terminal import client, command, print_json, print_table, wants_json, with_json
from trainyard.model.metric import MetricGroup, Metrics, Point
from trainyard.model.scopes import MOST_VALUES, Scopes


def add(subparsers: Any) -> None:
    metrics = with_json(command(subparsers, "metrics", _metrics, "metrics of a run, or of a log or metrics file"))
    metrics.add_argument("source", metavar="FILE|RUN", help="a file or folder on this machine, or the id of a run")
    for scope, kind in (("batch-size", int), ("learning-rate", float), ("momentum", float)):
        metrics.add_argument(
            f"--{scope}",
            type=_several(kind),
            default=[],
            metavar="A,B,...",
            help=f"what a script that sweeps by itself went through as {scope.replace('-', ' ')}, in its order",
        )


def _several(kind: type[int | float]) -> Callable[[str], list[Any]]:
    def read(text: str) -> list[Any]:
        numbers = [kind(part) for part in text.split(",")]
        if len(numbers) > MOST_VALUES or not all(map(math.isfinite, numbers)):
            raise ValueError
        return numbers

    read.__name__ = f"{kind.__name__} list"
    return read


def _metrics(options: argparse.Namespace) -> None:
    path = Path(options.source)
    # A file's last name may be a run's id, never the other way round.
    if path.exists() or not options.source.startswith("run-"):
        from trainyard.logs.laptop import read_file

        metrics = read_file(path, None) if wants_json(options) else read_file(path)
    else:
        metrics = Metrics.from_json(json.dumps(client(options).get(f"/v1/runs/{options.source}/metrics")))
    scopes = Scopes(batch_size=options.batch_size, learning_rate=options.learning_rate, momentum=options.momentum)
    metrics = scopes.named(metrics, anew=True)
    if wants_json(options):
        print_json(metrics.to_dict())
    else:
        _print(metrics)


def _print(metrics: Metrics) -> None:
    if not metrics.groups:
        print("no metrics were found")
    for number, group in enumerate(metrics.groups, 1):
        if len(metrics.groups) > 1 or group.parameters:
            told = ", ".join(f"{name}={value}" for name, value in group.parameters.items())
            print(f"group {number}{': ' if told else ''}{told}")
        headings = ["metric", "points", "first", "last", "lowest", "highest", "last at"]
        print_table(headings, [_row(group, name, points) for name, points in group.series.items() if points])
        print()


def _row(group: MetricGroup, name: str, points: list[Point]) -> list[str]:
    values = [point.value for point in points if point.value == point.value]
    extremes = [f"{min(values):.6g}", f"{max(values):.6g}"] if values else ["nan", "nan"]
    last = points[-1]
    place = [f"epoch {last.epoch:g}"] if last.epoch is not None else []
    place += [f"step {last.step}"] if last.step is not None else []
    count = group.counts.get(name, len(points))
    return [name, str(count), f"{points[0].value:.6g}", f"{last.value:.6g}", *extremes, ", ".join(place)]
