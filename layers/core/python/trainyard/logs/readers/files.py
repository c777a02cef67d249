"""Readers of metric files, which a script leaves in its output: the registry and their contract.

To add one: a file with a `FileReader`, one line below, and a real file under tests/data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from trainyard.logs.readers.contract import Row

# name -> module:class, imported on first use. The first that recognizes a file reads it.
REGISTRY = {
    "event_file": "trainyard.logs.readers.event_file:EventFileReader",
    "trainer_state": "trainyard.logs.readers.trainer_state:TrainerStateReader",
    "metrics_json": "trainyard.logs.readers.metrics_json:MetricsJsonReader",
    "csv": "trainyard.logs.readers.csv_file:CsvReader",
    "json_lines_file": "trainyard.logs.readers.json_lines:JsonLinesFileReader",
}
HEAD_BYTES = 4096
LARGEST_DOCUMENT = 16 << 20
"""Of a file that can only be read whole: as JSON's objects it takes up to 25 times as much memory."""
LONGEST_LINE = 1 << 20


class FileReader(ABC):
    """Reads one kind of file. A damaged or cut-off file gives the rows before the damage, never an exception."""

    name: ClassVar[str]

    @abstractmethod
    def recognizes(self, name: str, head: bytes) -> bool:
        """Whether a file of that name with those first 4 KiB is of this kind and holds metrics."""

    @abstractmethod
    def rows(self, path: Path) -> Iterator[Row]:
        """What was measured, in the file's order, in memory that does not grow with it."""


def new_file_reader(name: str) -> FileReader:
    """Raises KeyError if there is no reader of that name."""
    module, _, attribute = REGISTRY[name].partition(":")
    reader = getattr(import_module(module), attribute)()
    assert isinstance(reader, FileReader)
    return reader


def reader_of(name: str, head: bytes) -> FileReader | None:
    """The reader of a file, or None where it holds no metrics that are known here."""
    readers = map(new_file_reader, REGISTRY)
    return next((reader for reader in readers if reader.recognizes(name, head)), None)
