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


def _write_instead(meant: str | None) -> Text:
    if meant:
        return Text(en=f"Write `{meant}`.", zh=f"请改为 `{meant}`。")
    return Text(en="Commit it, or name one that is in the commit.", zh="请提交该文件，或填写提交中存在的名称。")
