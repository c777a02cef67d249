"""What `evaluation.require` asks for is understood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.errors import InvalidInput
from trainyard.model.finding import Finding
from trainyard.model.requirement import parse_requirement
from trainyard.model.text import Text
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, RunRule
from trainyard.validation.view import RunView


def _with(require: str) -> Example:
    return Example(
        {"trainyard.yaml": f"{EXAMPLE_SPEC}    evaluation: {{require: {{accuracy: '{require}'}}}}\n"}, line=7
    )


class EvaluationRequire(RunRule):
    id: ClassVar[str] = "evaluation-require"
    title = Text(en="A requirement that is not understood", zh="无法理解的评估要求")
    explanation = Text(
        en="`evaluation.require` names metrics and what must hold of them: a comparison and a number, of the last "
        "value "
        "or of the `best` or `mean`.",
        zh="`evaluation.require` 写明指标及其应满足的条件：比较符和数字，默认针对最后的值，也可用 `best` 或 `mean`。",
    )
    failing = (_with("at least 0.9"), _with("=> 0.9"))
    passing = (_with(">= 0.9"), _with("best > 95 %"))

    def check(self, view: RunView) -> Iterator[Finding]:
        for metric, text in view.spec.evaluation.require.items():
            try:
                parse_requirement(text)
            except InvalidInput as error:
                yield self.finding(
                    view.place("evaluation", "require", metric),
                    error.message,
                    Text(
                        en='Write it such as ">= 0.9" or "best < 0.1".', zh='请写成 ">= 0.9" 或 "best < 0.1" 的形式。'
                    ),
                )
