"""Hugging Face Trainer's dicts: transformers 4 prints numbers, 5 quotes them; one may follow a bar on its line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainyard.logs.readers.contract import NUMBER, Form, MetricReader, Row

_DICT = re.compile(rb"\{'[^{}\n]{0,2000}'epoch': '?(" + NUMBER + rb")'?[^{}\n]{0,2000}\}")
_ITEM = re.compile(rb"'([^'\n]+)': '?(" + NUMBER + rb")'?")


class HuggingFaceReader(MetricReader):
    name = "hugging_face"

    def forms(self) -> Sequence[Form]:
        return (Form(b"'epoch': ", _DICT, _read),)


def _read(match: re.Match[bytes]) -> Row:
    values = {name.decode("utf-8", "replace"): float(value) for name, value in _ITEM.findall(match[0])}
    epoch = values.pop("epoch")
    step = values.pop("step", None)
    return Row(values, epoch, None if step is None else int(step))
