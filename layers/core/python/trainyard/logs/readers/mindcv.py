"""mindcv's StateMonitor: `Epoch: [1/10], batch: [100/500], loss: 0.1, lr: 0.1, time: 1.0s`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainyard.logs.readers.contract import NUMBER, Form, MetricReader, Row

_STATE = re.compile(
    rb"Epoch: \[ *(\d+) */ *\d+\], batch: \[ *(\d+) */ *\d+\], loss: *(" + NUMBER + rb"), lr: *(" + NUMBER + rb")"
    rb"(?:, time: *([\d.]+)s)?"
)


class MindCVReader(MetricReader):
    name = "mindcv"

    def forms(self) -> Sequence[Form]:
        return (Form(b"], batch: [", _STATE, _read),)


def _read(match: re.Match[bytes]) -> Row:
    epoch, batch, loss, rate, seconds = match.groups()
    values = {"loss": float(loss), "learning_rate": float(rate)}
    if seconds is not None:
        values["time"] = float(seconds) * 1000
    return Row(values, int(epoch), int(batch))
