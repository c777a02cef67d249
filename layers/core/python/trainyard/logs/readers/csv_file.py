"""CSV files with a row for each epoch or step: Keras' CSVLogger, Lightning's metrics.csv, Ultralytics' results.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from trainyard.logs.readers.contract import Row
from trainyard.logs.readers.files import LONGEST_LINE, FileReader

_STEP_NAMES = ("step", "global_step", "iteration", "iter")


class CsvReader(FileReader):
    """Any table that has a column for the epoch or the step; every other column of numbers is a metric."""

    name = "csv"

    def recognizes(self, name: str, head: bytes) -> bool:
        return name.lower().endswith(".csv") and bool({"epoch", *_STEP_NAMES} & set(_header(head)))

    def rows(self, path: Path) -> Iterator[Row]:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file, suppress(csv.Error):
            lines = csv.reader(line.replace("\0", "") for line in iter(partial(file.readline, LONGEST_LINE), ""))
            names = [name.strip() for name in next(lines, [])]
            for line in lines:
                if row := _row(dict(zip(names, line, strict=False))):
                    yield row


def _header(head: bytes) -> list[str]:
    first = head.decode("utf-8-sig", "replace").replace("\0", "").partition("\n")[0]
    try:
        return [name.strip().lower() for name in next(csv.reader(io.StringIO(first)), [])]
    except csv.Error:
        return []


def _row(cells: dict[str, str]) -> Row | None:
    numbers: dict[str, float] = {}
    for name, cell in cells.items():
        # An empty cell is what Lightning writes for what was not measured at this step.
        with suppress(ValueError):
            numbers[name] = float(cell)
    epoch = numbers.pop(next((name for name in numbers if name.lower() == "epoch"), ""), None)
    step = numbers.pop(next((name for name in numbers if name.lower() in _STEP_NAMES), ""), None)
    if not numbers:
        return None
    return Row(numbers, epoch, int(step) if step is not None and step == step // 1 else None)
