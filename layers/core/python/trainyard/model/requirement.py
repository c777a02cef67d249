"""What a project requires of a run: `{accuracy: ">= 0.9", loss: "best < 0.1"}`. A small grammar, never `eval`.

requirement = [which] comparison number
which       = "last" | "best" | "mean"      (last, where it is left out: the model that the run left behind)
comparison  = ">=" | ">" | "<=" | "<" | "==" | "!="
number      = a decimal number, with exponent or per cent (`95 %` is 0.95)
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from trainyard.model.errors import InvalidInput
from trainyard.model.text import Text

_GRAMMAR = re.compile(
    r"\s*(?:(last|best|mean)\s+)?(>=|<=|==|!=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*", re.ASCII
)
_LONGEST = 100
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True)
class Requirement:
    """A parsed requirement."""

    which: str
    comparison: str
    number: float

    def holds(self, actual: float) -> bool:
        """False for NaN, whatever is compared."""
        return not math.isnan(actual) and _COMPARE[self.comparison](actual, self.number)


def parse_requirement(text: str) -> Requirement:
    """Raises:
    InvalidInput: it is not of the grammar above.
    """
    match = _GRAMMAR.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise InvalidInput(
            Text(
                en=f"{text[:_LONGEST]!r} is no requirement. Write a comparison and a number: '>= 0.9', 'best < 0.1'.",
                zh=f"{text[:_LONGEST]!r} 不是有效的要求。请写比较符和数字，例如 '>= 0.9' 或 'best < 0.1'。",
            )
        )
    which, comparison, number, percent = match.groups()
    return Requirement(which or "last", comparison, float(number) / (100 if percent else 1))
