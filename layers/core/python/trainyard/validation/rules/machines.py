"""What a run says about its machines makes sense together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.spec import Machines
from trainyard.model.text import Text
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, RunRule
from trainyard.validation.view import RunView

_ON_SPOT = EXAMPLE_SPEC + "    machines: spot\n"


class SpotWithoutRetries(RunRule):
    id: ClassVar[str] = "spot-without-retries"
    severity: ClassVar[Severity] = Severity.WARNING
    title = Text(en="A spot machine, and no further attempt", zh="使用竞价机器但未设置重试")
    explanation = Text(
        en="AWS takes spot machines back at two minutes' notice. Without `retries` the run fails then; with it, it is "
        "tried again.",
        zh="AWS 可在提前两分钟通知后收回竞价机器。未设置 `retries` 时训练会失败；设置后会重新尝试。",
    )
    failing = (
        Example({"trainyard.yaml": _ON_SPOT}, line=7),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    machines: spot_first\n    retries: 0\n"}, line=7),
    )
    passing = (
        Example(),
        Example({"trainyard.yaml": _ON_SPOT + "    retries: 3\n"}),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    machines: on_demand\n"}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        if view.spec.machines is Machines.ON_DEMAND or view.spec.retries:
            return
        yield self.finding(
            view.place("machines"),
            Text(
                en="A spot machine may be taken back, and there is no further attempt.",
                zh="竞价机器可能被收回，而此训练没有设置重试。",
            ),
            Text(en="Write `retries: 3`.", zh="请添加 `retries: 3`。"),
        )
