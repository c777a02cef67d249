"""The framework and the flavor are names of the catalogue, and fit each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.catalogue import Accelerator
from trainyard.model.finding import Finding
from trainyard.model.installation import missing
from trainyard.model.text import Text
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, RunRule
from trainyard.validation.suggestion import nearest
from trainyard.validation.view import RunView


def _with(old: str, new: str) -> Example:
    return Example({"trainyard.yaml": EXAMPLE_SPEC.replace(old, new)}, line=4 if "framework" in old else 5)


_ON_A_GPU = EXAMPLE_SPEC.replace("framework: mindspore-cpu", "framework: pytorch-cuda")
_ON_FOUR_GPUS = {"trainyard.yaml": _ON_A_GPU.replace("flavor: cpu", "flavor: t4x4")}


class UnknownFramework(RunRule):
    id: ClassVar[str] = "unknown-framework"
    title = Text(en="No such framework", zh="没有这个框架")
    explanation = Text(
        en="`framework` names an image of the catalogue. The images of the original tutorial are known but retired.",
        zh="`framework` 是目录中的镜像名称。原教程中的镜像仍可识别，但已停用。",
    )
    failing = (
        _with("framework: mindspore-cpu", "framework: mindspore_cpu"),
        _with("framework: mindspore-cpu", "framework: mindspore-1.3-cuda-10.1"),
        _with("framework: mindspore-cpu", "framework: tensorflow"),
    )
    passing = (Example(), _with("framework: mindspore-cpu", "framework: python-cpu"))

    def check(self, view: RunView) -> Iterator[Finding]:
        if view.spec.image:
            return
        name, framework = view.spec.framework[:80], view.framework
        usable = usable_frameworks(view)
        place = view.place("framework")
        if framework is None:
            by_version = {entry.version: entry.name for entry in view.catalogue.frameworks if not entry.retired}
            meant = by_version.get(name) or nearest(name, usable)
            yield self.finding(
                place,
                Text(en=f"There is no framework `{name}`.", zh=f"没有名为 `{name}` 的框架。"),
                choose(meant, usable),
            )
        elif framework.retired:
            note = framework.note or Text(en="It was retired.", zh="已停用。")
            yield self.finding(
                place,
                Text(en=f"`{name}` cannot be chosen any more. {note.en}", zh=f"`{name}` 已不能选择。{note.zh}"),
                choose(framework.replaced_by, usable),
            )


class UnknownFlavor(RunRule):
    id: ClassVar[str] = "unknown-flavor"
    title = Text(en="No such flavor", zh="没有这种规格")
    explanation = Text(
        en="`flavor` names a size of machine of the catalogue that this installation has: its operator chooses the "
        "families, and how many vCPUs of each may run at a time.",
        zh="`flavor` 是目录中的机器规格名称，且当前部署须提供该规格：管理员决定有哪些机器系列，"
        "以及各系列同时最多使用多少 vCPU。",
    )
    failing = (
        _with("flavor: cpu", "flavor: cpu-smal"),
        _with("flavor: cpu", "flavor: k80"),
        Example(_ON_FOUR_GPUS, line=5, installation={"max_vcpus": {"t4": 32}}),
    )
    passing = (
        Example(),
        _with("flavor: cpu", "flavor: cpu-small"),
        Example(_ON_FOUR_GPUS, installation={"max_vcpus": {"t4": 48}}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        flavor = view.flavor
        usable = [entry.name for entry in view.catalogue.flavors if not entry.retired and not missing(entry)]
        name = view.spec.flavor[:80]
        if flavor is not None and not flavor.retired:
            if (why := missing(flavor)) is not None:
                yield self.finding(view.place("flavor"), why, choose(None, usable))
            return
        yield self.finding(
            view.place("flavor"),
            Text(en=f"There is no flavor `{name}`.", zh=f"没有名为 `{name}` 的规格。"),
            choose(nearest(name, usable), usable),
        )


class FlavorMisfit(RunRule):
    id: ClassVar[str] = "flavor-misfit"
    title = Text(en="Framework and flavor do not fit", zh="框架与规格不匹配")
    explanation = Text(
        en="An image for an accelerator needs a machine that has it, and a machine with an accelerator is paid for "
        "even if the image cannot use it.",
        zh="面向加速卡的镜像需要带该加速卡的机器；带加速卡的机器即使用不上也会计费。",
    )
    failing = (_with("flavor: cpu", "flavor: t4"), Example({"trainyard.yaml": _ON_A_GPU}, line=5))
    passing = (Example(), Example({"trainyard.yaml": _ON_A_GPU.replace("flavor: cpu", "flavor: l4")}))

    def check(self, view: RunView) -> Iterator[Finding]:
        framework, flavor = view.framework, view.flavor
        if framework is None or flavor is None or framework.accelerator is flavor.accelerator:
            return
        fitting = usable_flavors(view, framework.accelerator)
        needs, has = _CARDS[framework.accelerator], _CARDS[flavor.accelerator]
        yield self.finding(
            view.place("flavor"),
            Text(
                en=f"`{framework.name}` is for machines with {needs.en}, but `{flavor.name}` has {has.en}.",
                zh=f"`{framework.name}` 用于{needs.zh} 的机器，而 `{flavor.name}` 的机器{has.zh}。",
            ),
            choose(None, fitting)
            if fitting
            else _other_framework(flavor.name, _frameworks_for(view, flavor.accelerator)),
        )


_CARDS = {
    Accelerator.NONE: Text(en="no accelerator", zh="没有加速卡"),
    Accelerator.NVIDIA: Text(en="an NVIDIA GPU", zh="带 NVIDIA GPU"),
    Accelerator.ASCEND: Text(en="an Ascend card", zh="带昇腾卡"),
}


def _other_framework(flavor: str, fitting: list[str]) -> Text:
    """Where no flavor of this installation suits the framework."""
    listed = ", ".join(fitting)
    return Text(
        en="This installation has no such machines; its operator can add them."
        + (f" For `{flavor}` choose one of these frameworks: {listed}." if listed else ""),
        zh="当前部署没有这类机器，可请管理员添加。" + (f"`{flavor}` 可用的框架有：{listed}。" if listed else ""),
    )


def usable_frameworks(view: RunView) -> list[str]:
    """Names of the frameworks that this installation has machines for; all, where it has none at all."""
    offered = [entry for entry in view.catalogue.frameworks if not entry.retired]
    return [entry.name for entry in offered if usable_flavors(view, entry.accelerator)] or [
        entry.name for entry in offered
    ]


def _frameworks_for(view: RunView, accelerator: Accelerator) -> list[str]:
    return [entry.name for entry in view.catalogue.frameworks if entry.accelerator is accelerator and not entry.retired]


def usable_flavors(view: RunView, accelerator: Accelerator) -> list[str]:
    """Names of the flavors with that accelerator that this installation has."""
    return [
        entry.name
        for entry in view.catalogue.flavors
        if entry.accelerator is accelerator and not entry.retired and not missing(entry)
    ]


def choose(meant: str | None, usable: list[str]) -> Text:
    """What to write instead: the name that was probably meant, or one of those that there are."""
    if meant:
        return Text(en=f"Write `{meant}`.", zh=f"请改为 `{meant}`。")
    listed = ", ".join(usable) or "-"
    return Text(en=f"Choose one of: {listed}.", zh=f"请选择以下之一：{listed}。")
