"""The contract of a metric reader: it names the forms in which its source prints metrics, and reads one at a time.

Logs are long and most lines say nothing about metrics, so readers never see lines: `logs.metrics` searches whole blocks
of the log for the forms of all readers and calls a form only where it was found.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple, TypeVar

from pydantic_core import from_json

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


class Table(NamedTuple):
    """Many rows of one form, in columns."""

    epochs: list[int]
    steps: list[int]
    values: dict[str, list[float]]


_Number = TypeVar("_Number", int, float)
_RARE = (b"{", b"|", b"%", b"[", b"'")


@dataclass(frozen=True, eq=False)
class Form:
    """One way of printing metrics.

    `pattern` must begin with literal bytes (they make the search fast) and take bounded time at any place: no unbounded
    repetition inside of another. A line break may only be its first byte, and then stands for the beginning of a line.
    One digit is as good as another: whether a line matches must follow from where it has digits, not which.
    """

    literal: bytes
    """Bytes that every match contains; a block without them is not searched."""
    pattern: re.Pattern[bytes]
    read: Callable[[re.Match[bytes]], Row | None] | None = None
    """Gives None where nothing is measured; a ValueError says the same (`float` of what is no number)."""
    columns: tuple[str, ...] = ()
    """Instead of `read`, for lines printed by the million: what the pattern's groups are behind epoch and step."""
    first_epoch: int = 1
    """How the source of the columns numbers its first epoch."""

    def may_be_in(self, text: bytes) -> bool:
        """False: `text` has no match. A rare byte of the literal is looked for first, which is many times faster."""
        return (not self.rare or self.rare in text) and self.literal in text

    @cached_property
    def rare(self) -> bytes:
        """A byte of the literal that ordinary text seldom has; empty if it has none."""
        return next((byte for byte in _RARE if byte in self.literal), b"")

    def row(self, match: re.Match[bytes]) -> Row | None:
        """What one match says."""
        if self.read is not None:
            return self.read(match)
        epoch, step, *numbers = match.groups()
        values = {name: float(number) for name, number in zip(self.columns, numbers, strict=True) if number is not None}
        return Row(values, int(epoch) + 1 - self.first_epoch, int(step))

    def table(self, groups: Sequence[Sequence[bytes | None]]) -> Table | None:
        """The groups of many matches, column by column; None if one of them is absent or no number."""
        if not groups:
            return Table([], [], {})
        try:
            epochs, steps = (_numbers(column, int) for column in groups[:2])
            columns = [_numbers(column, float) for column in groups[2:]]
        except (TypeError, ValueError):
            return None
        if self.first_epoch != 1:
            epochs = [epoch + 1 - self.first_epoch for epoch in epochs]
        return Table(epochs, steps, dict(zip(self.columns, columns, strict=True)))


def _numbers(column: Sequence[bytes | None], kind: type[_Number]) -> list[_Number]:
    """What `kind` makes of each; a parser of JSON, where it has that form, is four times as fast.

    Raises:
        TypeError: one is None, an optional group that is not there.
        ValueError: one is no number.
    """
    text = b",".join(column)  # type: ignore[arg-type]
    try:
        # true and false are JSON, but no numbers.
        numbers = [] if b"t" in text or b"f" in text else from_json(b"[%b]" % text)
    except ValueError:  # nan, +1 and 007 are no JSON, but numbers
        numbers = []
    return list(map(kind, numbers if len(numbers) == len(column) else column))


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
