"""Imports that will not be found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.imports import unprovided
from trainyard.validation.rules.contract import Example, RunRule
from trainyard.validation.view import REQUIREMENTS_NAME, Place, RunView


class ImportNotProvided(RunRule):
    id: ClassVar[str] = "import-not-provided"
    title = Text(en="Import that nothing provides", zh="导入的模块没有来源")
    explanation = Text(
        en="A module must come from Python itself, the image, the repository or pip-requirements.txt. It is a warning, "
        "because a package may bring another that is not known here.",
        zh="模块必须来自 Python 自身、镜像、仓库或 pip-requirements.txt。这只是警告，"
        "因为某个包可能会带来此处未收录的其他包。",
    )
    severity = Severity.WARNING
    failing = (
        Example({"train.py": "import os\nimport cv2\n", REQUIREMENTS_NAME: "mindspore==2.7.0\n"}, line=2),
        Example({"train.py": "from sklearn.svm import SVC\n"}, line=1),
    )
    passing = (
        Example({"train.py": "import cv2, numpy\n", REQUIREMENTS_NAME: "opencv-python-headless\n"}),
        Example(
            {
                "train.py": "from net import Net\nimport numpy as np\n",
                "net.py": "Net = 1\n",
                REQUIREMENTS_NAME: "mindspore\n",
            }
        ),
        Example({"train.py": "try:\n    import aim\nexcept ImportError:\n    aim = None\n"}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        for missing in unprovided(view):
            yield self.finding(
                Place(missing.file, missing.line, missing.column),
                Text(
                    en=f"Nothing provides the module `{missing.module}`.",
                    zh=f"模块 `{missing.module}` 没有来源。",
                ),
                Text(
                    en=f"Add a line `{missing.distribution}` to {view.requirements_path}.",
                    zh=f"请在 {view.requirements_path} 中添加一行 `{missing.distribution}`。",
                ),
            )
