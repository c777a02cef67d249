"""`metrics.json`: the final figures that a script or a project's own `evaluate.py` writes, `{"accuracy": 0.97}`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from trainyard.logs.readers.contract import Row
from trainyard.logs.readers.files import LARGEST_DOCUMENT, FileReader
from trainyard.logs.readers.json_lines import row_of


class MetricsJsonReader(FileReader):
    name = "metrics_json"

    def recognizes(self, name: str, head: bytes) -> bool:
        return name.rsplit("/", 1)[-1] == "metrics.json" and head.lstrip().startswith(b"{")

    def rows(self, path: Path) -> Iterator[Row]:
        if path.stat().st_size > LARGEST_DOCUMENT:
            return
        try:
            fields = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return
        if isinstance(fields, dict) and (row := row_of(fields)):
            yield row
