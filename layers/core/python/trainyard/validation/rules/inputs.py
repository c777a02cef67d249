"""Inputs that exist, may be read, and are whole. `validation/inputs.py` looks them up and finds these faults."""

from __future__ import annotations

from typing import ClassVar

from trainyard.model.text import Text
from trainyard.validation.rules.contract import NotedRule


class InputMissing(NotedRule):
    id: ClassVar[str] = "input-missing"
    title = Text(en="Input that is not there", zh="输入不存在")
    explanation = Text(
        en="Every input must exist at its revision and path, and the project's owner must be allowed to read it. A "
        "private repository that is not yours is told in the same words as one that does not exist.",
        zh="每个输入都必须在指定的版本和路径下存在，且项目所有者有权读取。对于不属于您的私有仓库，提示与不存在时相同。",
    )
    needs_platform = True


class InputContent(NotedRule):
    id: ClassVar[str] = "input-content"
    title = Text(en="Input whose files are not whole", zh="输入文件不完整")
    explanation = Text(
        en="The large files of a dataset or model repository are stored through Git LFS; one that was committed "
        "without its content (`git lfs push` failed or never ran), or a file over 200 KB without Git LFS, cannot be "
        "staged.",
        zh="数据集和模型仓库的大文件通过 Git LFS 存储；若只提交了指针而未上传内容（`git lfs push` 失败或未执行），"
        "或超过 200 KB 的文件未使用 Git LFS，则无法部署。",
    )
    needs_platform = True
