"""Hugging Face Trainer's `trainer_state.json`: what it logged, with steps, exact where its prints are rounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from trainyard.logs.readers.contract import Row
from trainyard.logs.readers.files import LARGEST_DOCUMENT, FileReader
from trainyard.logs.readers.json_lines import row_of


class TrainerStateReader(FileReader):
    name = "trainer_state"

    def recognizes(self, name: str, head: bytes) -> bool:
        return name.rsplit("/", 1)[-1] == "trainer_state.json" and head.lstrip().startswith(b"{")

    def rows(self, path: Path) -> Iterator[Row]:
        if path.stat().st_size > LARGEST_DOCUMENT:
            return
        try:
            history = json.loads(path.read_bytes()).get("log_history", [])
        except (ValueError, AttributeError, RecursionError):
            return
        for entry in history if isinstance(history, list) else []:
            if isinstance(entry, dict) and (row := row_of(entry)):
                yield row
