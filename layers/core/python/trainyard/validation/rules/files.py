"""What a project repository may hold: code and small files, nothing that leads out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from unicodedata import category

from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.attributes import lfs_patterns
from trainyard.validation.fetch import MAX_FILE_BYTES
from trainyard.validation.object_database import SUBMODULE, SYMLINK
from trainyard.validation.rules.contract import Example, RepositoryRule
from trainyard.validation.snapshot import Snapshot
from trainyard.validation.view import Place


class LargeFile(RepositoryRule):
    id: ClassVar[str] = "large-file"
    title = Text(en="File over 200 KB", zh="文件超过 200 KB")
    explanation = Text(
        en="A project holds training code. Files over 204,800 bytes (checkpoints, data) go into a model or dataset "
        "repository, where Git LFS is used, and are named under `inputs`.",
        zh="项目仓库只放训练代码。超过 204,800 字节的文件（权重、数据）请放入使用 Git LFS 的模型仓库或数据集仓库，"
        "并在 `inputs` 中引用。",
    )
    failing = (Example({"lenet.ckpt": b"\1" * (MAX_FILE_BYTES + 1)}),)
    passing = (Example({"weights.bin": b"\1" * MAX_FILE_BYTES}),)

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        tracked = lfs_patterns(snapshot)
        for path, entry in snapshot.entries.items():
            if not entry.is_file or (entry.size is not None and entry.size <= MAX_FILE_BYTES):
                continue
            if tracked.match(path):  # committed as a pointer; the rules on Git LFS tell of it
                continue
            size_en = f"{entry.size:,} bytes" if entry.size is not None else "over 204,800 bytes"
            size_zh = f"{entry.size:,} 字节" if entry.size is not None else "超过 204,800 字节"
            yield self.finding(
                Place(path),
                Text(
                    en=f"The file is {size_en}; a project may hold files of at most 204,800.",
                    zh=f"该文件为 {size_zh}；项目仓库中的文件不得超过 204,800 字节。",
                ),
                Text(
                    en="Move it to a model or dataset repository and name that under `inputs`; remove it here with "
                    "`git rm --cached` and add it to .gitignore.",
                    zh="请移到模型仓库或数据集仓库并在 `inputs` 中引用；"
                    "在此仓库用 `git rm --cached` 移除，并加入 .gitignore。",
                ),
            )


class ForbiddenFile(RepositoryRule):
    id: ClassVar[str] = "forbidden-file"
    title = Text(en="File of a kind that does not belong in a project", zh="不应放入项目仓库的文件类型")
    explanation = Text(
        en="Programs and disk images are never run here, and compiled Python (.pyc) hides what is. A virtual "
        "environment "
        "that was committed is one of another machine.",
        zh="可执行程序和磁盘镜像在此不会被运行，编译后的 Python（.pyc）会掩盖真实内容；提交的虚拟环境属于另一台机器。",
    )
    failing = (
        Example({"tools/setup.exe": b"MZ"}),
        Example({"__pycache__/train.cpython-311.pyc": b"\1"}),
        Example({"venv/pyvenv.cfg": "home = /usr/bin\n"}),
    )
    passing = (Example({"run.sh": "python train.py\n", "notes.exe.md": "words\n"}),)

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        for path, entry in snapshot.entries.items():
            name = path.rpartition("/")[2].lower()
            if not entry.is_file:
                continue
            if name.endswith(_PROGRAMS):
                what = Text(
                    en="A program or disk image may not be in a project.", zh="项目仓库中不能有程序或磁盘镜像。"
                )
            elif name == "pyvenv.cfg":
                what = Text(en="A virtual environment was committed.", zh="提交了虚拟环境。")
            elif name.endswith((".pyc", ".pyo")):
                what = Text(en="Compiled Python was committed.", zh="提交了编译后的 Python 文件。")
            else:
                continue
            severity = Severity.ERROR if name.endswith(_PROGRAMS) else Severity.WARNING
            folder = path.rpartition("/")[0] if name == "pyvenv.cfg" or "__pycache__" in path else path
            yield self.finding(
                Place(path),
                what,
                Text(
                    en=f"Run `git rm -r --cached {folder}` and add it to .gitignore.",
                    zh=f"请运行 `git rm -r --cached {folder}` 并加入 .gitignore。",
                ),
                severity,
            )


_PROGRAMS = (".exe", ".dll", ".msi", ".scr", ".iso", ".img", ".dmg", ".vmdk", ".apk", ".deb", ".rpm")


class Link(RepositoryRule):
    id: ClassVar[str] = "link"
    title = Text(en="Symbolic link", zh="符号链接")
    explanation = Text(
        en="A symbolic link may lead out of the repository, so links are not staged.",
        zh="符号链接可能指向仓库之外，因此不会被部署。",
    )
    failing = (Example(links={"data": SYMLINK}),)
    passing = (Example({"data/readme.txt": "small\n"}),)

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        for path, entry in snapshot.entries.items():
            if entry.mode == SYMLINK:
                yield self.finding(
                    Place(path),
                    Text(en="This is a symbolic link.", zh="这是一个符号链接。"),
                    Text(en="Commit the file itself instead of the link.", zh="请提交文件本身，而不是链接。"),
                )


class Submodule(RepositoryRule):
    id: ClassVar[str] = "submodule"
    title = Text(en="Submodule", zh="子模块")
    explanation = Text(
        en="Submodules are not fetched: a run uses one commit of one registered repository. A folder with a .git of "
        "its own that was added by accident looks the same.",
        zh="不会获取子模块：一次训练只使用一个已登记仓库的一个提交。误加入的、自带 .git 的文件夹也会被视为子模块。",
    )
    failing = (Example(links={"third_party/models": SUBMODULE}),)
    passing = (Example({"third_party/models/net.py": "layers = 5\n"}),)

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        for path, entry in snapshot.entries.items():
            if entry.mode == SUBMODULE:
                yield self.finding(
                    Place(path),
                    Text(en="This is a submodule, which is not fetched.", zh="这是一个子模块，不会被获取。"),
                    Text(
                        en="Copy the files that are needed into the repository (without their .git folder), or name "
                        "the package in pip-requirements.txt.",
                        zh="请把需要的文件复制到仓库中（去掉其 .git 文件夹），"
                        "或在 pip-requirements.txt 中写明该软件包。",
                    ),
                )


class PathName(RepositoryRule):
    id: ClassVar[str] = "path-name"
    title = Text(en="File name that cannot be used", zh="无法使用的文件名")
    explanation = Text(
        en="A path must be UTF-8 without control characters and backslashes, to mean the same file everywhere.",
        zh="路径必须是 UTF-8，且不含控制字符和反斜杠，以保证在各处指向同一个文件。",
    )
    failing = (Example({"new\nline.py": "print(1)\n"}),)
    passing = (Example({"训练/模型　说明.md": "1\n", "👩\u200d🔬.txt": "1\n"}),)

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        for path, entry in snapshot.entries.items():
            if entry.readable_name and "\\" not in path and not _misleading(path):
                continue
            yield self.finding(
                Place(path),
                Text(
                    en="The file's name is not UTF-8, or holds a control character or a backslash.",
                    zh="文件名不是 UTF-8，或包含控制字符或反斜杠。",
                ),
                Text(en="Rename it with `git mv`.", zh="请用 `git mv` 重命名。"),
            )


def _misleading(path: str) -> bool:
    """Whether a terminal or a file system would make something else of it: controls, line ends, turned directions."""
    if path.isprintable():
        return False
    return any(category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNING for character in path)


_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
