"""What can be wrong with an image, and what its user can do about it."""

from __future__ import annotations

from trainyard.model.image import ImageReference
from trainyard.model.text import Text

SYSTEM, ARCHITECTURE = "linux", "amd64"
"""Of the machines in `infra/compute.yaml`."""
MAX_BYTES = 20 << 30
"""Of an image as it is fetched: what a machine's disk of the usual size holds once it is unpacked."""


class ImageFault(Exception):
    """An image that no run can stand on."""

    def __init__(self, rule_id: str, message: Text, fix: Text) -> None:
        super().__init__(message.en)
        self.rule_id, self.message, self.fix = rule_id, message, fix


def not_allowed(reference: ImageReference, allowed: list[str]) -> ImageFault:
    if not allowed:
        return ImageFault(
            "image-registry",
            Text(en="This installation takes no images of users' own.", zh="当前部署不接受自定义镜像。"),
            Text(
                en="Choose a framework, or ask the operator to set AllowedImageRegistries.",
                zh="请选择目录中的框架，或请管理员设置 AllowedImageRegistries。",
            ),
        )
    listed = ", ".join(allowed)
    return ImageFault(
        "image-registry",
        Text(
            en=f"Images of `{reference.name}` are not allowed here.", zh=f"此处不允许使用 `{reference.name}` 的镜像。"
        ),
        Text(
            en=f"Push the image to one of these, or ask the operator: {listed}.",
            zh=f"请将镜像推送到以下位置之一，或联系管理员：{listed}。",
        ),
    )


def missing(shown: str) -> ImageFault:
    return ImageFault(
        "image-missing",
        Text(
            en=f"There is no image {shown} that may be pulled from here.",
            zh=f"没有可从此处拉取的镜像 {shown}。",
        ),
        Text(
            en="Check name and tag and push it. If it is private, keep a login for its registry with "
            "`trainyard registries add`; of ECR the operator opens repositories.",
            zh="请检查拼写和标签并推送镜像。如为私有镜像，请用 `trainyard registries add` 保存其仓库的登录信息；"
            "ECR 仓库由管理员开放。",
        ),
    )


def login_refused(reference: ImageReference) -> ImageFault:
    return ImageFault(
        "image-missing",
        Text(
            en=f"The login that the project keeps for {reference.registry} does not open {reference}.",
            zh=f"项目保存的 {reference.registry} 登录信息无法访问 {reference}。",
        ),
        Text(
            en="Keep another with `trainyard registries add`; its user must be allowed to pull the image.",
            zh="请用 `trainyard registries add` 更新登录信息；其用户须有拉取该镜像的权限。",
        ),
    )


def leads_astray(shown: str, where: Text) -> ImageFault:
    return ImageFault(
        "image-missing",
        Text(
            en=f"The registry of {shown} leads to where we do not go. {where.en}",
            zh=f"{shown} 的镜像仓库指向不允许访问的地址。{where.zh}",
        ),
        Text(en="Use a registry that the internet reaches.", zh="请使用可从互联网访问的镜像仓库。"),
    )


def unreadable(shown: str) -> ImageFault:
    return ImageFault(
        "image-unusable",
        Text(en=f"{shown} is no container image that can be read.", zh=f"{shown} 不是可读取的容器镜像。"),
        Text(
            en="Build and push it again with docker, podman or buildah.",
            zh="请用 docker、podman 或 buildah 重新构建并推送。",
        ),
    )


def other_platform(shown: str, known: str) -> ImageFault:
    return ImageFault(
        "image-unusable",
        Text(
            en=f"{shown} is made for {known}; the machines here are {SYSTEM}/{ARCHITECTURE}.",
            zh=f"{shown} 面向 {known}；这里的机器是 {SYSTEM}/{ARCHITECTURE}。",
        ),
        Text(
            en=f"Build it with `docker build --platform {SYSTEM}/{ARCHITECTURE}` and push it again.",
            zh=f"请用 `docker build --platform {SYSTEM}/{ARCHITECTURE}` 构建并重新推送。",
        ),
    )


def strange_layer(shown: str, kind: str) -> ImageFault:
    return ImageFault(
        "image-unusable",
        Text(
            en=f"{shown} has a layer of the kind {kind[:100]}.",
            zh=f"{shown} 含有 {kind[:100]} 类型的镜像层。",
        ),
        Text(
            en="Push it with layers of the kind tar+gzip or tar+zstd: `docker buildx build --output "
            "type=registry,compression=gzip,force-compression=true`.",
            zh="请以 tar+gzip 或 tar+zstd 镜像层推送：`docker buildx build --output "
            "type=registry,compression=gzip,force-compression=true`。",
        ),
    )


def too_large(shown: str, size: int) -> ImageFault:
    return ImageFault(
        "image-unusable",
        Text(
            en=f"{shown} has {size / 2**30:.1f} GiB; {MAX_BYTES >> 30} GiB is the most.",
            zh=f"{shown} 有 {size / 2**30:.1f} GiB，上限为 {MAX_BYTES >> 30} GiB。",
        ),
        Text(
            en="Leave out what the training does not need; data and models are inputs.",
            zh="请去掉训练不需要的内容；数据和模型应作为输入。",
        ),
    )
