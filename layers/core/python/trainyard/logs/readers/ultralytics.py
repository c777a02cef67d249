"""Ultralytics' tables: the losses of each epoch under a header, then the validation's line for all classes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainyard.logs.readers.contract import Form, MetricReader, Row

_HEADER = re.compile(rb"\n *Epoch +GPU_mem +([^\n]+)")
_EPOCH = re.compile(rb"\n {1,40}(\d+)/\d+ {1,40}[\d.]+[GM]? {1,40}([-+.\deEnaif ]{1,400}): *\d{3}%")
_VALIDATION_HEADER = re.compile(rb"\n *Class +Images +Instances +([^\n]+)")
_VALIDATION = re.compile(rb"\n +all +\d+ +\d+ +([-+.\deEnaif ]+)")
# "Box(P          R      mAP50  mAP50-95)" or, for masks, a second "Mask(P ...)": the bracket names the group.
_COLUMN = re.compile(rb"(?:(\w+)\()?([\w-]+)(\))?")


class UltralyticsReader(MetricReader):
    name = "ultralytics"

    def __init__(self) -> None:
        self._losses: list[str] = []
        self._validation: list[str] = []
        self._epoch: int | None = None

    def forms(self) -> Sequence[Form]:
        return (
            Form(b"GPU_mem", _HEADER, self._read_header),
            Form(b"%", _EPOCH, self._read_epoch),
            Form(b"Instances", _VALIDATION_HEADER, self._read_validation_header),
            Form(b" all ", _VALIDATION, self._read_validation),
        )

    def _read_header(self, match: re.Match[bytes]) -> None:
        self._losses = [name.decode() for name in match[1].split() if name.endswith(b"loss")]

    def _read_epoch(self, match: re.Match[bytes]) -> Row | None:
        if not self._losses:
            return None
        self._epoch = int(match[1])
        return Row(_named(self._losses, match[2]), self._epoch, redrawn=True)

    def _read_validation_header(self, match: re.Match[bytes]) -> None:
        self._validation, group = [], ""
        for opened, name, closed in _COLUMN.findall(match[1].partition(b":")[0]):
            group = opened.decode() or group
            self._validation.append(f"{name.decode()}({group[0]})" if group else name.decode())
            group = "" if closed else group

    def _read_validation(self, match: re.Match[bytes]) -> Row | None:
        if not self._validation:
            return None
        return Row(_named(self._validation, match[1]), self._epoch, redrawn=True)


def _named(names: list[str], numbers: bytes) -> dict[str, float]:
    return dict(zip(names, map(float, numbers.split()), strict=False))
