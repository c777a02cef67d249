"""What a run says about its machines makes sense together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.installation import longest_timeout, nodes_missing, scripts_lack_network
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


_TWO_NODES = {"trainyard.yaml": EXAMPLE_SPEC + "    nodes: 2\n"}
_READY: dict[str, object] = {"job_queues": {"cpu": "arn", "cpu-nodes": "arn"}, "script_network": "open"}


class NodesNotOffered(RunRule):
    id: ClassVar[str] = "nodes-not-offered"
    title = Text(en="So many machines cannot train together", zh="无法使用这么多机器共同训练")
    explanation = Text(
        en="`nodes` asks for several machines of the flavor. The flavor must allow it, the operator must have given "
        "them a network (`NodesNatGateway`) and opened it to scripts (`ScriptNetwork=open`), so that their ranks can "
        "meet, and the family's maximum of vCPUs must hold them all.",
        zh="`nodes` 表示使用同一规格的多台机器。该规格须支持多机；管理员须为其配置网络（`NodesNatGateway`），"
        "并对脚本开放网络（`ScriptNetwork=open`），各进程才能互相连接；该系列的 vCPU 上限须能容纳全部机器。",
    )
    failing = (
        Example(_TWO_NODES, line=7, installation={**_READY, "job_queues": {"cpu": "arn"}}),
        Example(_TWO_NODES, line=7, installation={**_READY, "script_network": "closed"}),
        Example(_TWO_NODES, line=7, installation={**_READY, "max_vcpus": {"cpu": 15}}),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    nodes: 17\n"}, line=7),
    )
    passing = (
        Example(_TWO_NODES),
        Example(_TWO_NODES, installation={**_READY, "max_vcpus": {"cpu": 16}}),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    nodes: 1\n"}, installation={"script_network": "closed"}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        if view.spec.nodes == 1 or view.flavor is None:
            return
        why = nodes_missing(view.flavor, view.spec.nodes)
        if why is not None:
            yield self.finding(view.place("nodes"), *why)


class RanksCannotMeet(RunRule):
    id: ClassVar[str] = "ranks-cannot-meet"
    severity: ClassVar[Severity] = Severity.WARNING
    title = Text(en="The processes may not reach each other", zh="各进程可能无法互相连接")
    explanation = Text(
        en="Several processes of a script meet over TCP. Where scripts have no network and the machine has no network "
        "namespaces, as in containers of AWS Batch, they have no loopback either: the operator opens the network "
        "(`ScriptNetwork=open`), or the script uses one process.",
        zh="脚本的多个进程通过 TCP 互相连接。若脚本不能使用网络，且机器没有网络命名空间（AWS Batch 的容器即如此），"
        "则也没有本地回环：请管理员开放网络（`ScriptNetwork=open`），或只使用一个进程。",
    )
    failing = (
        Example(
            {"trainyard.yaml": EXAMPLE_SPEC + "    processes: 2\n"}, line=7, installation={"script_network": "closed"}
        ),
    )
    passing = (
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    processes: 2\n"}, installation={"script_network": "open"}),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    processes: auto\n"}, installation={"script_network": "closed"}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        cards = view.flavor.accelerators if view.flavor is not None else 0
        count = cards if view.spec.processes == "auto" else view.spec.processes
        on_batch = view.framework is not None and view.framework.backend == "aws_batch"
        # Of several machines the other rule says more.
        if count < 2 or view.spec.nodes > 1 or not on_batch or not scripts_lack_network():
            return
        yield self.finding(
            view.place("processes"),
            Text(
                en=f"The {count} processes of the script may not reach each other here: scripts have no network.",
                zh=f"脚本的 {count} 个进程在此可能无法互相连接：脚本不能使用网络。",
            ),
            Text(
                en="Ask the operator for `ScriptNetwork=open`, or write `processes: 1`.",
                zh="请管理员设置 `ScriptNetwork=open`，或改为 `processes: 1`。",
            ),
        )


_EIGHT_CARDS = """\
runs:
  lenet5:
    boot_file: train.py
    framework: mindspore-ascend
    flavor: ascend-910x8
    output: false
"""


class ProcessesNotPerCard(RunRule):
    id: ClassVar[str] = "processes-not-per-card"
    title = Text(en="Ascend takes one process or one for each card", zh="Ascend 只支持单进程或每卡一个进程")
    explanation = Text(
        en="ModelArts starts a script once for each card of a machine. With `processes: 1` it runs on the first card "
        "alone, with `processes: auto` on all of them; there is nothing in between.",
        zh="ModelArts 在机器的每张卡上各启动一次脚本。`processes: 1` 只在第一张卡上运行，"
        "`processes: auto` 在所有卡上运行，没有其他选择。",
    )
    failing = (Example({"trainyard.yaml": _EIGHT_CARDS + "    processes: 3\n"}, line=7),)
    passing = tuple(
        Example({"trainyard.yaml": _EIGHT_CARDS + f"    processes: {count}\n"}) for count in ("auto", "8", "1")
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        if view.flavor is None or view.framework is None or view.framework.backend != "modelarts":
            return
        if view.spec.processes in ("auto", 1, view.flavor.accelerators):
            return
        cards = view.flavor.accelerators
        yield self.finding(
            view.place("processes"),
            Text(
                en=f"ModelArts starts one process for each of this flavor's {cards} cards, or we start one alone.",
                zh=f"ModelArts 在该规格的 {cards} 张卡上各启动一个进程，或只运行一个进程。",
            ),
            Text(en="Write `processes: auto`, or `processes: 1`.", zh="请写 `processes: auto` 或 `processes: 1`。"),
        )
