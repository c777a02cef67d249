"""Images of users' own. `validation/images` asks the registry and finds the faults that only it can tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.catalogue import OWN_IMAGES
from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.requirements_file import read_requirements
from trainyard.validation.rules.catalogue import choose, usable_flavors
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, NotedRule, RunRule
from trainyard.validation.view import Place, RunView

_IMAGE = "image: docker.io/library/python:3.12"
_WITH_IMAGE = EXAMPLE_SPEC.replace("framework: mindspore-cpu", _IMAGE)


class ImageRegistry(NotedRule):
    id: ClassVar[str] = "image-registry"
    title = Text(en="A registry that is not allowed", zh="不允许使用的镜像仓库")
    explanation = Text(
        en="`image` names a container image of your own, from one of the registries that the operator allows with the "
        "parameter `AllowedImageRegistries`. Without any, runs stand on the frameworks of the catalogue.",
        zh="`image` 是您自己的容器镜像，必须来自管理员通过参数 `AllowedImageRegistries` 允许的镜像仓库。"
        "若未允许任何仓库，训练只能使用目录中的框架。",
    )
    needs_platform = True


class ImageMissing(NotedRule):
    id: ClassVar[str] = "image-missing"
    title = Text(en="Image that is not there", zh="镜像不存在")
    explanation = Text(
        en="The tag or digest must exist. Anybody may pull it, or the project keeps a login for its registry "
        "(`trainyard registries add`), or it lies in ECR and the operator opened it. What a tag stands for is looked "
        "up once: the run keeps that digest, wherever the tag moves.",
        zh="标签或摘要必须存在，且可公开拉取，或项目保存了其仓库的登录信息（`trainyard registries add`），"
        "或位于管理员已开放的 ECR 仓库。标签只解析一次：之后标签移动也不影响训练，"
        "训练始终使用当时的摘要。",
    )
    needs_platform = True


class ImageUnusable(NotedRule):
    id: ClassVar[str] = "image-unusable"
    title = Text(en="Image that machines here cannot run", zh="当前机器无法运行的镜像")
    explanation = Text(
        en="An image is made for a system and an architecture: the machines are linux/amd64. Its layers are tar, "
        "tar+gzip or tar+zstd archives; what it holds must fit on a machine's disk.",
        zh="镜像针对特定的系统和架构构建：这里的机器是 linux/amd64。镜像层须为 tar、tar+gzip 或 tar+zstd 归档，"
        "且内容须能放入机器磁盘。",
    )
    needs_platform = True


class ImageFlavor(RunRule):
    id: ClassVar[str] = "image-flavor"
    title = Text(en="An image of your own on machines that cannot show it", zh="自定义镜像与机器不匹配")
    explanation = Text(
        en="An image of your own runs on one machine, with a CPU or NVIDIA cards: what belongs to the driver is laid "
        "into it (/usr/local/nvidia), CUDA's other libraries it brings itself. Ascend machines take ModelArts' images "
        "only.",
        zh="自定义镜像只能使用一台机器，可为 CPU 或 NVIDIA 规格：驱动文件会放入镜像（/usr/local/nvidia），"
        "其余 CUDA 库由镜像自带。昇腾机器只接受 ModelArts 的镜像。",
    )
    failing = (
        Example({"trainyard.yaml": _WITH_IMAGE.replace("flavor: cpu", "flavor: ascend-910")}, line=5),
        Example({"trainyard.yaml": _WITH_IMAGE + "    nodes: 2\n"}, line=7),
    )
    passing = (
        Example(),
        Example({"trainyard.yaml": _WITH_IMAGE}),
        Example({"trainyard.yaml": _WITH_IMAGE.replace("flavor: cpu", "flavor: t4")}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        if not view.spec.image:
            return
        if view.spec.nodes > 1:
            yield self.finding(
                view.place("nodes"),
                Text(en="An image of your own runs on one machine.", zh="自定义镜像只能在一台机器上运行。"),
                Text(
                    en="Write `nodes: 1`, or choose a framework of the catalogue.",
                    zh="请写 `nodes: 1`，或选择目录中的框架。",
                ),
            )
        flavor = view.flavor
        if flavor is None or flavor.accelerator in OWN_IMAGES:
            return
        yield self.finding(
            view.place("flavor"),
            Text(
                en=f"An image of your own cannot use the accelerator of `{flavor.name}`.",
                zh=f"自定义镜像无法使用 `{flavor.name}` 的加速卡。",
            ),
            choose(None, [name for accelerator in OWN_IMAGES for name in usable_flavors(view, accelerator)]),
        )


class ImageRequirements(RunRule):
    id: ClassVar[str] = "image-requirements"
    severity: ClassVar[Severity] = Severity.WARNING
    title = Text(en="Requirements beside an image of your own", zh="自定义镜像不会安装依赖文件")
    explanation = Text(
        en="An image of your own holds its packages: the pip-requirements.txt beside the boot file is not installed "
        "into it.",
        zh="自定义镜像自带依赖包：启动文件旁的 pip-requirements.txt 不会安装到镜像中。",
    )
    failing = (Example({"trainyard.yaml": _WITH_IMAGE, "pip-requirements.txt": "numpy\n"}, line=1),)
    passing = (
        Example({"trainyard.yaml": _WITH_IMAGE}),
        Example({"trainyard.yaml": _WITH_IMAGE, "pip-requirements.txt": "# installed in the image\n"}),
        Example({"pip-requirements.txt": "mindspore==2.10.0\n"}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        if not view.spec.image:
            return
        file = read_requirements(view.requirements_path, view.snapshot.text(view.requirements_path) or "")
        if not file.lines:
            return
        yield self.finding(
            Place(file.path, file.lines[0].line, 1),
            Text(
                en="This file is not installed into an image of your own.",
                zh="此文件不会安装到自定义镜像中。",
            ),
            Text(
                en="Install the packages when you build the image, such as `RUN pip install -r pip-requirements.txt`.",
                zh="请在构建镜像时安装，例如 `RUN pip install -r pip-requirements.txt`。",
            ),
        )
