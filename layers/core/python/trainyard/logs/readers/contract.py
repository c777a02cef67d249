"""The contract of a metric reader: it names the forms in which its source prints metrics, and reads one at a time.

Logs are long and most lines say nothing about metrics, so readers never see lines: `logs.metrics` searches whole blocks
of the log for the forms of all readers and calls a form only where it was found.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from trainyard.model.metric import Parameter


class Row(NamedTuple):
    """What one place of the log says: values measured at one epoch and step."""

    values: dict[str, float]
    epoch: float | None = None
    """From 1. None: the epoch of the row before holds on."""
    step: int | None = None
    redrawn: bool = False
    """A progress bar: a later row of the same epoch and step replaces this one."""
    parameters: dict[str, Parameter] | None = None
    """Hyperparameters that the log states for the training that follows."""


@dataclass(frozen=True)
class Form:
    """One way of printing metrics.

    `pattern` must begin with literal bytes (they make the search fast) and take bounded time at any place: no unbounded
    repetition inside of another. A line break may only be its first byte, and then stands for the beginning of a line.
    """

    literal: bytes
    """Bytes that every match contains; a block without them is not searched."""
    pattern: re.Pattern[bytes]
    read: Callable[[re.Match[bytes]], Row | None]
    """None: the place is recognized but measures nothing. A ValueError says the same (`float` of what is no number)."""


class MetricReader(ABC):
    """Reads one source's lines. An instance reads one log from its beginning and may remember what it saw."""

    name: ClassVar[str]
    fallback: ClassVar[bool] = False
    """True: is shown only the lines in which no other reader found anything."""

    @abstractmethod
    def forms(self) -> Sequence[Form]:
        """The forms this reader understands, each a different line of the log."""


NUMBER = rb"[-+.\w]+"
"""Anything that may be a number, nan and inf included: `float` decides."""


def snake(name: str) -> str:
    """`Train Loss` -> `train_loss`; `metrics/mAP50(B)` keeps its slash and brackets."""
    return re.sub(r"[\s-]+", "_", name.strip()).lower()
