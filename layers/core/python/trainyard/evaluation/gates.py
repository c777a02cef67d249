"""Whether the figures of a run meet what its project requires; the grammar is in `model.requirement`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from trainyard.model.errors import InvalidInput
from trainyard.model.evaluation import Gate, GroupEvaluation, MetricFigures
from trainyard.model.requirement import Requirement, parse_requirement
from trainyard.model.text import Text

# What people mean when they name a metric and the script names it otherwise; measured on unseen data first.
_PREFIXES = ("val_", "eval_", "test_", "validation_", "train_")
_SHORT = {"accuracy": "acc", "acc": "accuracy"}


Figures = Mapping[str, float]
"""Metric -> its best value, of other runs."""


def check_gate(
    metric: str,
    requirement: str,
    groups: list[GroupEvaluation],
    best_group: int | None,
    references: Mapping[str, Figures],
) -> Gate:
    """How one requirement came out: in the best group where that has the metric, else in the last one that has it.

    A requirement that is not of the grammar has failed, and the message says how to write it.
    """
    try:
        required = parse_requirement(requirement)
    except InvalidInput as error:
        return _not_met(metric, requirement, error.message)
    for number in _search_order(len(groups), best_group):
        name = find_metric(metric, list(groups[number].metrics))
        if name is not None:
            measured = Measured(name, groups[number].metrics[name], number)
            return _compared(metric, requirement, required, measured, references)
    return _absent(metric, requirement, groups)


def find_metric(wanted: str, names: list[str]) -> str | None:
    """The series meant by `wanted`: that name, else in other letters, else with `val_`, `eval_`, `test_` before."""
    if wanted in names:
        return wanted
    folded = {_fold(name): name for name in reversed(names)}
    key = _fold(wanted)
    stems = [key, _SHORT[key]] if key in _SHORT else [key]
    candidates = [*stems, *(prefix + stem for prefix in _PREFIXES for stem in stems)]
    return next((folded[candidate] for candidate in candidates if candidate in folded), None)


def _fold(name: str) -> str:
    return re.sub(r"[\s\-/]+", "_", name.strip()).lower()


def _search_order(groups: int, best: int | None) -> list[int]:
    rest = [number for number in reversed(range(groups)) if number != best]
    return rest if best is None else [best, *rest]


class Measured(NamedTuple):
    """Where a required metric was found."""

    name: str
    figures: MetricFigures
    group: int


def _compared(
    metric: str, text: str, required: Requirement, measured: Measured, references: Mapping[str, Figures]
) -> Gate:
    actual = _actual(required.which, measured.figures)
    number = required.number
    if number is None:
        number = _of_reference(references.get(required.reference or "", {}), measured.name)
    # The first run has nothing to compare with; failing it would keep every later one from having that either.
    passed = required.holds(actual, number) if number is not None else math.isfinite(actual)
    return Gate(
        metric=metric,
        requirement=text,
        measured_as=measured.name,
        group=measured.group,
        actual=actual,
        compared_with=number,
        passed=passed,
        message=_message(metric, measured.name, required, text.strip(), actual, number, passed=passed),
    )


def _of_reference(figures: Figures, name: str) -> float | None:
    found = find_metric(name, list(figures))
    return None if found is None else figures[found]


def _message(
    metric: str, name: str, required: Requirement, text: str, actual: float, number: float | None, *, passed: bool
) -> Text:
    called = metric if name == metric else f"{metric} ({name})"
    en, zh = ("passed", "通过") if passed else ("failed", "未通过")
    than_en = than_zh = ""
    if required.reference is not None:
        than_en = " (there is no earlier run to compare with)" if number is None else f" ({number:g})"
        than_zh = "（没有可比较的更早运行）" if number is None else f"（{number:g}）"
    return Text(
        en=f"{called}: {required.which} value {actual:g}, required {text}{than_en}: {en}",
        zh=f"{called}：{_WHICH_ZH[required.which]} {actual:g}，要求 {text}{than_zh}：{zh}",
    )


_WHICH_ZH = {"last": "最后值", "best": "最优值", "mean": "末期均值"}


def _actual(which: str, figures: MetricFigures) -> float:
    if which == "best":
        return figures.best.value if figures.best else math.nan
    if which == "mean":
        return math.nan if figures.mean_of_last is None else figures.mean_of_last
    return figures.last.value


def _absent(metric: str, requirement: str, groups: list[GroupEvaluation]) -> Gate:
    names = list(dict.fromkeys(name for group in groups for name in group.metrics))
    have = ", ".join(names[:20])
    en = (
        f"The run measured: {have}."
        if names
        else "The run measured nothing that could be read; print metrics or write them."
    )
    zh = f"该运行测得：{have}。" if names else "该运行没有可读取的指标；请打印或写出指标。"
    message = Text(en=f"{metric} is required, but was not measured. {en}", zh=f"要求 {metric}，但没有测得。{zh}")
    return _not_met(metric, requirement, message)


def _not_met(metric: str, requirement: str, message: Text) -> Gate:
    return Gate(
        metric=metric,
        requirement=requirement,
        measured_as=None,
        group=None,
        actual=None,
        compared_with=None,
        passed=False,
        message=message,
    )
