"""MindSpore's own callbacks, 1.0 to 2.10: LossMonitor, TimeMonitor, `Eval result` of Model.fit."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainyard.logs.readers.contract import NUMBER, Form, MetricReader, Row, snake

_LOSS = re.compile(rb"epoch: *(\d+),? step: *(\d+), loss is:? *\[?(" + NUMBER + rb")")
_TIME = re.compile(
    rb"poch time: *(" + NUMBER + rb") ms, per step time: *(" + NUMBER + rb") ms(?:, avg loss: *(" + NUMBER + rb"))?"
)
_EVAL = re.compile(rb"Eval result: epoch (\d+), metrics: \{([^\n}]{0,1000})\}")
# 'accuracy': np.float64(0.76) with numpy 2, 'accuracy': 0.76 with numpy 1
_ITEM = re.compile(rb"['\"]([^'\"\n]+)['\"]: *(?:[\w.]+\()?(" + NUMBER + rb")")


class MindSporeReader(MetricReader):
    name = "mindspore"

    def forms(self) -> Sequence[Form]:
        return (
            Form(b"loss is", _LOSS, columns=("loss",)),
            Form(b"poch time:", _TIME, _read_time),
            Form(b"Eval result:", _EVAL, _read_eval),
        )


def _read_time(match: re.Match[bytes]) -> Row:
    """`Train epoch time`, `Eval epoch time` (2.x), `epoch time` (1.x) and mindvision's `Epoch time ... avg loss`."""
    epoch_time, step_time, loss = match.groups()
    # Eval's times are apart from training's, which say how fast the run is.
    prefix = "eval_" if match.string[max(match.start() - 6, 0) : match.start() - 1] == b"Eval " else ""
    values = {f"{prefix}epoch_time": float(epoch_time), f"{prefix}mean_step_time": float(step_time)}
    if loss is not None:
        values["epoch_loss"] = float(loss)
    return Row(values)


def _read_eval(match: re.Match[bytes]) -> Row:
    epoch, metrics = match.groups()
    values = {_eval_name(name.decode("utf-8", "replace")): float(value) for name, value in _ITEM.findall(metrics)}
    return Row(values, int(epoch))


def _eval_name(name: str) -> str:
    """Eval's loss is another series than the training's; a metric that only evaluation has keeps its name."""
    return "eval_loss" if snake(name) == "loss" else snake(name)
