"""Lightning's progress bars: the tqdm line, and the rich one, whose metrics follow on lines of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainyard.logs.readers.contract import NUMBER, Form, MetricReader, Row

# A bar is redrawn all the time; the last one of an epoch counts.
_TQDM = re.compile(rb"\nEpoch (\d+): *\d+%\|[^|\n]*\| *(\d+)/(\d+) \[([^\]\n]*)\]")
_RICH = re.compile(
    rb"\nEpoch (\d+)/\d+ +[^\n]{0,300}?(\d+)/(\d+) [\d:]+ [^\n]{0,100}?it/s"
    rb"([^\n]{0,2000}(?:\n {20,}[\w./-]+: *[-+.\w]+ *(?=\n))*)"
)
_ITEM = re.compile(rb"([A-Za-z_][\w./-]*)[=:] *(" + NUMBER + rb")")
_NO_METRIC = {"v_num"}


class LightningReader(MetricReader):
    """Epochs are printed from 0."""

    name = "lightning"

    def forms(self) -> Sequence[Form]:
        return (Form(b"%|", _TQDM, _read), Form(b"it/s", _RICH, _read))


def _read(match: re.Match[bytes]) -> Row | None:
    epoch, step, steps, postfix = match.groups()
    if step != steps:
        return None
    values = {name.decode(): float(value) for name, value in _ITEM.findall(postfix) if name.decode() not in _NO_METRIC}
    return Row(values, int(epoch) + 1, int(step), redrawn=True)
