"""A project repository holds no Git LFS files: code is small, and a pointer is not what the script would read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.attributes import ATTRIBUTES_NAME, lfs_patterns
from trainyard.validation.lfs_pointer import MAX_BYTES, PREFIX
from trainyard.validation.rules.contract import Example, RepositoryRule
from trainyard.validation.snapshot import Snapshot
from trainyard.validation.view import Place

_POINTER = f"{PREFIX.decode()}oid sha256:{'0' * 64}\nsize 1048576\n"
_FIX = Text(
    en="Put the file into a model or dataset repository and name that under `inputs`; here run `git lfs untrack` and "
    "`git rm --cached`.",
    zh="请把文件放入模型仓库或数据集仓库，并在 `inputs` 中引用；在此仓库运行 `git lfs untrack` 和 `git rm --cached`。",
)


class LfsPointer(RepositoryRule):
    id: ClassVar[str] = "lfs-pointer"
    title = Text(en="Git LFS file in a project", zh="项目仓库中有 Git LFS 文件")
    explanation = Text(
        en="A project is staged without Git LFS, so the script would find a small text in place of the file.",
        zh="部署项目时不使用 Git LFS，脚本读到的将是一小段文本而不是文件本身。",
    )
    failing = (Example({"lenet.ckpt": _POINTER}),)
    passing = (Example({"notes.txt": "version 1\n"}),)

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        for path, entry in snapshot.entries.items():
            if not entry.is_file or entry.size is None or not len(PREFIX) < entry.size < MAX_BYTES:
                continue
            data = snapshot.read(path)
            if data is not None and data.startswith(PREFIX):
                yield self.finding(
                    Place(path, 1, 1),
                    Text(
                        en="This is a Git LFS pointer; the file itself is not staged.",
                        zh="这是一个 Git LFS 指针，文件本身不会被部署。",
                    ),
                    _FIX,
                )


class LfsPattern(RepositoryRule):
    id: ClassVar[str] = "lfs-pattern"
    title = Text(en="Git LFS pattern in a project", zh="项目仓库中有 Git LFS 跟踪规则")
    explanation = Text(
        en="A project may not use Git LFS. A pattern in .gitattributes that fits no file yet is a warning, one that "
        "fits a file is an error.",
        zh="项目仓库不能使用 Git LFS。.gitattributes 中尚未匹配任何文件的规则是警告，已匹配文件的规则是错误。",
    )
    failing = (Example({ATTRIBUTES_NAME: "*.ckpt filter=lfs diff=lfs merge=lfs -text\n", "a.ckpt": "x"}, line=1),)
    passing = (Example({ATTRIBUTES_NAME: "*.py text eol=lf\n"}),)

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        patterns = lfs_patterns(snapshot)
        if not any(line.tracks for line in patterns.lines):
            return
        used: dict[tuple[str, int], str] = {}
        for path, entry in snapshot.entries.items():
            line = patterns.match(path) if entry.is_file else None
            if line is not None:
                used.setdefault((line.file, line.line), path)
        for line in patterns.lines:
            if not line.tracks:
                continue
            fits = used.get((line.file, line.line))
            about_en = f" It fits {fits}." if fits else ""
            about_zh = f"它匹配 {fits}。" if fits else ""
            yield self.finding(
                Place(line.file, line.line, 1),
                Text(
                    en=f"The pattern `{line.pattern[:80]}` is tracked by Git LFS, which a project may not use."
                    f"{about_en}",
                    zh=f"规则 `{line.pattern[:80]}` 由 Git LFS 跟踪，项目仓库不能使用 Git LFS。{about_zh}",
                ),
                _FIX,
                Severity.ERROR if fits else Severity.WARNING,
            )
