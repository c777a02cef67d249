"""One JSON object on a line: `{"epoch": 1, "step": 10, "loss": 0.3}`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainyard.logs.readers.contract import Form, MetricReader, Row
from trainyard.logs.readers.files import LONGEST_LINE, FileReader

_OBJECT = re.compile(rb"\n(\{\"[^\n]{1,20000}\})[ \t]*(?=\n)")
_STEP_NAMES = ("step", "global_step", "iteration", "iter")
# What loggers add that measures nothing.
_NOT_METRICS = {"time", "timestamp", "ts", "t", "pid", "rank", "lineno", "line", "levelno", "epochs", "steps"}


class JsonLinesReader(MetricReader):
    name = "json_lines"

    def forms(self) -> Sequence[Form]:
        return (Form(b'\n{"', _OBJECT, _read),)


def _read(match: re.Match[bytes]) -> Row | None:
    try:
        fields = json.loads(match[1])
    except RecursionError:
        return None
    return row_of(fields)


def row_of(fields: dict[str, Any]) -> Row | None:
    """The numbers of a flat record as a row: `epoch` and `step` say where, every other number is a metric."""
    numbers = {name: number for name, value in fields.items() if (number := _number(value)) is not None}
    epoch = numbers.pop("epoch", None)
    steps = [numbers.pop(name) for name in _STEP_NAMES if name in numbers]
    values = {name: value for name, value in numbers.items() if name not in _NOT_METRICS}
    if not values:
        return None
    return Row(values, epoch, int(steps[0]) if steps and steps[0] == steps[0] // 1 else None)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _float(value)
    # JSON has no NaN; some writers put it as a string.
    return float(value) if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity") else None


def _float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


class JsonLinesFileReader(FileReader):
    """A file of such lines: metrics.jsonl and the like."""

    name = "json_lines_file"

    def recognizes(self, name: str, head: bytes) -> bool:
        return name.lower().endswith((".jsonl", ".ndjson")) and head.lstrip().startswith(b"{")

    def rows(self, path: Path) -> Iterator[Row]:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                try:
                    fields = json.loads(line)
                except (ValueError, RecursionError):  # cut off, or of another kind: the lines around it count
                    continue
                if isinstance(fields, dict) and (row := row_of(fields)):
                    yield row
