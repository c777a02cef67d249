"""What a run says about its machines makes sense together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.installation import longest_timeout
from trainyard.model.spec import Machines, format_duration
from trainyard.model.text import Text
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, RunRule
from trainyard.validation.view import Place, RunView

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


class TimeoutTooLong(RunRule):
    id: ClassVar[str] = "timeout-too-long"
    title = Text(en="A time limit longer than may be", zh="运行时限超过上限")
    explanation = Text(
        en="The operator sets how long an attempt may take at most (`MaxRunSeconds`). A run that says nothing gets a "
        "day, or that where it is less. Longer trainings store checkpoints in `--output_path` and are run again from "
        "them.",
        zh="管理员设定了单次尝试的最长时间（`MaxRunSeconds`）。未填写时限的训练为一天，若上限更短则取上限。"
        "更长的训练请在 `--output_path` 中保存检查点，再从检查点继续运行。",
    )
    failing = (
        Example(
            {"trainyard.yaml": EXAMPLE_SPEC + "    timeout: 2d\n"}, line=7, installation={"max_run_seconds": 86400}
        ),
        Example(
            {"trainyard.yaml": EXAMPLE_SPEC + "    evaluation: {require: {accuracy: '> 0.9'}, timeout: 2h}\n"},
            line=7,
            installation={"max_run_seconds": 3600},
        ),
    )
    passing = (
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    timeout: 1d\n"}, installation={"max_run_seconds": 86400}),
        Example(installation={"max_run_seconds": 3600}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        longest = longest_timeout()
        if longest is None:
            return
        if view.spec.timeout > longest:
            yield self._too_long(view.place("timeout"), longest)
        if view.spec.evaluation.timeout > longest:
            yield self._too_long(view.place("evaluation", "timeout"), longest)

    def _too_long(self, place: Place, longest: timedelta) -> Finding:
        most = format_duration(longest)
        return self.finding(
            place,
            Text(en=f"An attempt may take {most} at most here.", zh=f"当前部署单次尝试最长为 {most}。"),
            Text(
                en=f"Write `timeout: {most}` or less, or ask the operator for more.",
                zh=f"请改为 `timeout: {most}` 或更短，或请管理员提高上限。",
            ),
        )
