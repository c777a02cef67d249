"""Keras 2 and 3: `Epoch 1/2` and the progress line, of which the last step of each epoch counts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainyard.logs.readers.contract import NUMBER, Form, MetricReader, Row

_EPOCH = re.compile(rb"\nEpoch (\d+)/\d+[ \t]*(?=\n)")
# "23/23 - 2s - 71ms/step - loss: 2.1" (verbose=2), "23/23 ━━━━ 2s 125ms/step - loss: 2.1" (verbose=1, codes removed)
_STEPS = re.compile(rb"\n *(\d+)/(\d+) [^\n]{1,400}?\d(?:s|ms|us)(?:/step|/epoch)? - (\w[^\n]{3,2000})")
_TIME = re.compile(rb"(\d+)(s|ms|us)/step")
_ITEM = re.compile(rb"([A-Za-z_]\w*): (" + NUMBER + rb")")
_MILLISECONDS = {b"s": 1000.0, b"ms": 1.0, b"us": 0.001}


class KerasReader(MetricReader):
    name = "keras"

    def __init__(self) -> None:
        self._epoch: int | None = None

    def forms(self) -> Sequence[Form]:
        return (Form(b"\nEpoch ", _EPOCH, self._read_epoch), Form(b" - ", _STEPS, self._read_steps))

    def _read_epoch(self, match: re.Match[bytes]) -> Row:
        self._epoch = int(match[1])
        return Row({}, self._epoch)

    def _read_steps(self, match: re.Match[bytes]) -> Row | None:
        if self._epoch is None or match[1] != match[2]:
            return None
        values = {name.decode(): float(value) for name, value in _ITEM.findall(match[3])}
        if time := _TIME.search(match[0]):
            values["step_time"] = float(time[1]) * _MILLISECONDS[time[2]]
        return Row(values, self._epoch, int(match[1]), redrawn=True)
