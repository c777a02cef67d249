"""mindvision's monitors, which the tutorial uses: LossMonitor and ValAccMonitor."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainyard.logs.readers.contract import NUMBER, Form, MetricReader, Row, snake

_LOSS = re.compile(
    rb"Epoch:\[ *(\d+)/ *\d+\], step:\[ *(\d+)/ *\d+\], loss:\[ *(" + NUMBER + rb") */ *(" + NUMBER + rb") *\]"
    rb"(?:, time: *(" + NUMBER + rb")(?: ms)?)?(?:, lr: *(" + NUMBER + rb"))?"
)
_VALIDATION = re.compile(
    rb"Epoch: \[ *(\d+) */ *\d+ *\], Train Loss: \[ *(" + NUMBER + rb") *\], ([^\n:]{1,80}): *(" + NUMBER + rb")"
)
_BEST = re.compile(rb"End of validation the best [^\n]*")


class MindVisionReader(MetricReader):
    name = "mindvision"

    def forms(self) -> Sequence[Form]:
        return (
            # [loss of this step/running mean of the epoch]; epochs are counted from 0
            Form(b"], loss:[", _LOSS, columns=("loss", "mean_loss", "step_time", "learning_rate"), first_epoch=0),
            Form(b"Train Loss: [", _VALIDATION, _read_validation),
            # Repeats a value that was printed before; recognized so that it does not count twice.
            Form(b"End of validation", _BEST, lambda _: None),
        )


def _read_validation(match: re.Match[bytes]) -> Row:
    """ValAccMonitor counts from 1; the metric's name is whatever the script calls it."""
    epoch, loss, name, value = match.groups()
    return Row({"train_loss": float(loss), snake(name.decode("utf-8", "replace")): float(value)}, int(epoch))
