"""What a project requires of a run: `{accuracy: ">= 0.9", loss: "< best of main"}`. A small grammar, never `eval`.

requirement = [which] comparison (number | "best" "of" runs)
which       = "last" | "best" | "mean"      (last, where it is left out: the model that the run left behind)
comparison  = ">=" | ">" | "<=" | "<" | "==" | "!="
number      = a decimal number, with exponent or per cent (`95 %` is 0.95)
runs        = "previous" (on the same ref) | "project" (all of it) | the name of a branch
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
    r"\s*(?:(last|best|mean)\s+)?(>=|<=|==|!=|>|<)\s*"
    r"(?:([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)|best\s+of\s+([\w./-]+))\s*",
    re.ASCII,
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
    number: float | None
    reference: str | None = None
    """Instead of a number: the runs whose best value counts."""

    def holds(self, actual: float, number: float) -> bool:
        """Whether `actual` meets `number`; False for NaN, whatever is compared."""
        return not math.isnan(actual) and _COMPARE[self.comparison](actual, number)


def parse_requirement(text: str) -> Requirement:
    """Raises:
    InvalidInput: it is not of the grammar above.
    """
    match = _GRAMMAR.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise InvalidInput(
            Text(
                en=f"{text[:_LONGEST]!r} is no requirement. Write it like '>= 0.9', 'best < 0.1' or '< best of main'.",
                zh=f"{text[:_LONGEST]!r} 不是有效的要求。请写成 '>= 0.9'、'best < 0.1' 或 '< best of main'。",
            )
        )
    which, comparison, number, percent, reference = match.groups()
    value = None if number is None else float(number) / (100 if percent else 1)
    return Requirement(which or "last", comparison, value, reference)


def references_in(require: dict[str, str]) -> set[str]:
    """The runs that requirements compare with; what is not of the grammar names none."""
    matches = (_GRAMMAR.fullmatch(text) for text in require.values() if len(text) <= _LONGEST)
    return {match[5] for match in matches if match and match[5]}
