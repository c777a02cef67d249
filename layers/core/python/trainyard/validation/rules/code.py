"""The folder and the file that the run starts with exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.finding import Finding
from trainyard.model.text import Text
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, RunRule
from trainyard.validation.suggestion import nearest
from trainyard.validation.view import RunView

_IN_FOLDER = EXAMPLE_SPEC + "    code_dir: train/trainDir\n"
_EVALUATED = (
    "runs:\n  a:\n    boot_file: train.py\n    framework: python-cpu\n    flavor: cpu\n    output: true\n"
    "    evaluation:\n      script: evaluate.py\n"
)
_TAKES_OUTPUT = (
    "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--output_path')\nparser.parse_args()\n"
)


class CodeDirMissing(RunRule):
    id: ClassVar[str] = "code-dir-missing"
    title = Text(en="code_dir does not exist", zh="code_dir 不存在")
    explanation = Text(
        en="`code_dir` is the folder of the training code, from the root of the repository; leave it out for the root. "
        "Upper and lower case count, and git does not keep empty folders.",
        zh="`code_dir` 是训练代码所在的文件夹，从仓库根目录算起；若为根目录可不写。区分大小写；Git 不保存空文件夹。",
    )
    failing = (
        Example({"trainyard.yaml": _IN_FOLDER}, line=7),
        Example({"trainyard.yaml": _IN_FOLDER, "train/traindir/train.py": "print(1)\n"}, line=7),
    )
    passing = (Example({"trainyard.yaml": _IN_FOLDER, "train/trainDir/train.py": "print(1)\n"}), Example())

    def check(self, view: RunView) -> Iterator[Finding]:
        folder = view.spec.code_dir
        if view.snapshot.is_folder(folder):
            return
        if view.snapshot.is_file(folder):
            what = Text(en=f"`{folder}` is a file, not a folder.", zh=f"`{folder}` 是文件，不是文件夹。")
        else:
            what = Text(en=f"There is no folder `{folder}` in the commit.", zh=f"该提交中没有文件夹 `{folder}`。")
        meant = nearest(folder, view.snapshot.folders, cutoff=0.7)
        yield self.finding(view.place("code_dir"), what, _write_instead(meant))


class BootFileMissing(RunRule):
    id: ClassVar[str] = "boot-file-missing"
    title = Text(en="The boot file does not exist", zh="启动文件不存在")
    explanation = Text(
        en="`boot_file` is the Python file that is run, relative to `code_dir`. It must be committed: a file that is "
        "only on your machine, or ignored by .gitignore, is not there.",
        zh="`boot_file` 是要运行的 Python 文件，相对于 `code_dir`。它必须已提交："
        "仅存在于本机或被 .gitignore 忽略的文件不算。",
    )
    failing = (
        Example({"main.py": "print(1)\n"}, line=3, without=("train.py",)),
        Example({"trainyard.yaml": _IN_FOLDER, "train/trainDir/trian.py": "print(1)\n"}, line=3),
    )
    passing = (Example(), Example({"trainyard.yaml": _IN_FOLDER, "train/trainDir/train.py": "print(1)\n"}))

    def check(self, view: RunView) -> Iterator[Finding]:
        folder, path = view.spec.code_dir, view.boot_path
        if not view.snapshot.is_folder(folder) or path in view.snapshot.entries:
            return
        start = f"{folder}/" if folder else ""
        inside = [
            name.removeprefix(start)
            for name in view.snapshot.entries
            if name.startswith(start) and name.endswith(".py")
        ]
        same_name = [name for name in inside if name.rpartition("/")[2] == path.rpartition("/")[2]]
        meant = same_name[0] if same_name else nearest(view.spec.boot_file, inside)
        if meant is None and len(inside) == 1:
            meant = inside[0]
        yield self.finding(
            view.place("boot_file"),
            Text(en=f"There is no file `{path}` in the commit.", zh=f"该提交中没有文件 `{path}`。"),
            _write_instead(meant),
        )


class EvaluationScriptMissing(RunRule):
    id: ClassVar[str] = "evaluation-script-missing"
    title = Text(en="The evaluation script does not exist", zh="评估脚本不存在")
    explanation = Text(
        en="`evaluation.script` is a Python file, relative to `code_dir`, that judges what the run left. It is run "
        "from the same commit, with the packages of the pip-requirements.txt beside it, so it must be committed.",
        zh="`evaluation.script` 是相对于 `code_dir` 的 Python 文件，用于评估训练的产物。它在同一提交上运行，"
        "使用与其同目录的 pip-requirements.txt，因此必须已提交。",
    )
    failing = (Example({"trainyard.yaml": _EVALUATED}, line=8),)
    passing = (
        Example(),
        Example({"trainyard.yaml": _EVALUATED, "evaluate.py": "print(1)\n", "train.py": _TAKES_OUTPUT}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        path = view.spec.evaluation_path
        if path is None or path in view.snapshot.entries:
            return
        name = path.rpartition("/")[2]
        meant = [one for one in view.snapshot.entries if one.endswith(f"/{name}") or one == name]
        start = f"{view.spec.code_dir}/" if view.spec.code_dir else ""
        inside = [one.removeprefix(start) for one in meant if one.startswith(start)]
        yield self.finding(
            view.place("evaluation", "script"),
            Text(en=f"There is no file `{path}` in the commit.", zh=f"该提交中没有文件 `{path}`。"),
            _write_instead(inside[0] if inside else None),
        )


def _write_instead(meant: str | None) -> Text:
    if meant:
        return Text(en=f"Write `{meant}`.", zh=f"请改为 `{meant}`。")
    return Text(en="Commit it, or name one that is in the commit.", zh="请提交该文件，或填写提交中存在的名称。")
