"""TensorBoard event files and MindSpore SummaryRecords, without TensorFlow or MindInsight.

Both are TFRecord files of `Event` messages (tensorflow/core/util/event.proto); MindSpore's differ in the number of the
field that holds a scalar (mindinsight/datavisual/proto_files/mindinsight_summary.proto). Only what scalars need is
decoded here: 10,000 points take a tenth of a second.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from trainyard.logs.readers.contract import Row
from trainyard.logs.readers.files import FileReader

_FRAMING = 16
_LARGEST_FILE = 1 << 40
_LONGEST_RECORD = 16 << 20
"""Longer ones, of images and graphs, are passed over."""
_MOST_VALUES = 10_000
"""Of one record."""
_Value = int | bytes


class EventFileReader(FileReader):
    name = "event_file"

    def recognizes(self, name: str, head: bytes) -> bool:
        file = name.rsplit("/", 1)[-1]
        return len(head) > _FRAMING and (
            ".tfevents." in file or ".out.events.summary." in file or file.startswith("events.out.events")
        )

    def rows(self, path: Path) -> Iterator[Row]:
        with path.open("rb") as file:
            for record in _records(file):
                try:
                    row = _row(record)
                except (IndexError, struct.error):  # damaged: the framing tells where the next one begins
                    continue
                if row is not None:
                    yield row


def _records(file: BinaryIO) -> Iterator[bytes]:
    """TFRecord: length (8 bytes), its checksum (4), data, its checksum (4). Ends before a record that is cut off."""
    while len(header := file.read(12)) == 12:
        (length,) = struct.unpack("<Q", header[:8])
        if length > _LONGEST_RECORD:
            if length > _LARGEST_FILE:
                return
            file.seek(length + 4, os.SEEK_CUR)
            continue
        data = file.read(length)
        if len(data) < length or len(file.read(4)) < 4:
            return
        yield data


def _row(event: bytes) -> Row | None:
    """Event: step is field 2, summary field 5, whose values are its fields 1."""
    step = 0
    values: dict[str, float] = {}
    for number, content in _fields(event):
        if number == 2 and isinstance(content, int):
            step = content
        elif number == 5 and isinstance(content, bytes):
            for _, value in _fields(content):
                if len(values) >= _MOST_VALUES:
                    break
                if isinstance(value, bytes) and (scalar := _scalar(value)):
                    values[scalar[0]] = scalar[1]
    return Row(values, step=step) if values else None


def _scalar(value: bytes) -> tuple[str, float] | None:
    """Summary.Value: tag is field 1; the number is field 2 (TensorBoard 1), 3 (MindSpore) or in the tensor, 8."""
    tag = number = None
    for field, content in _fields(value):
        if field == 1 and isinstance(content, bytes):
            tag = content.decode("utf-8", "replace")
        elif field in (2, 3) and isinstance(content, bytes) and len(content) == 4:
            (number,) = struct.unpack("<f", content)
        elif field == 8 and isinstance(content, bytes) and number is None:
            number = _tensor(content)
    return None if tag is None or number is None else (tag, number)


def _tensor(tensor: bytes) -> float | None:
    """TensorProto of one number: tensor_content is field 4, float_val 5, double_val 6."""
    fields = dict(_fields(tensor))
    data = fields.get(5) or fields.get(6) or fields.get(4)
    if not isinstance(data, bytes) or len(data) not in (4, 8):
        return None
    return float(struct.unpack("<f" if len(data) == 4 else "<d", data)[0])


def _fields(message: bytes) -> Iterator[tuple[int, _Value]]:
    """Number and content of each field of a protobuf message; a fixed-width number stays bytes."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire = tag & 7
        content: _Value
        if wire == 0:
            content, position = _varint(message, position)
        else:
            if wire == 2:
                length, position = _varint(message, position)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                return
            content = message[position : position + length]
            position += length
        yield tag >> 3, content


def _varint(message: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 63:
            return number, position
