"""The script parses for the Python of its image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.finding import Finding
from trainyard.model.text import Text
from trainyard.validation.rules.contract import Example, RunRule
from trainyard.validation.script import Script
from trainyard.validation.view import Place, RunView

# Full-width punctuation that input methods put into code, with what Python reads.
FULL_WIDTH = {
    "：": ":", "（": "(", "）": ")", "，": ",", "；": ";", "“": '"', "”": '"', "‘": "'", "’": "'",
    "【": "[", "】": "]", "｛": "{", "｝": "}", "＝": "=", "！": "!", "＋": "+", "－": "-", "＊": "*",
    "／": "/", "＜": "<", "＞": ">", "．": ".", "。": ".", "、": ",", "　": " ",
}  # fmt: skip
_TUTORIAL_DEF = "def train()：\n    # 下载并处理MNIST数据集\n    return 1\n"


class FullWidthPunctuation(RunRule):
    id: ClassVar[str] = "full-width-punctuation"
    title = Text(en="Full-width punctuation in code", zh="代码中使用了全角标点")
    explanation = Text(
        en="Punctuation typed with a Chinese input method looks like Python's but is not, as in `def train()：`. In "
        "strings and comments it is fine.",
        zh="用中文输入法输入的标点看起来与 Python 的相似，但并不相同，例如 `def train()：`。"
        "在字符串和注释中则没有问题。",
    )
    failing = (
        Example({"train.py": _TUTORIAL_DEF}, line=1),
        Example({"train.py": "x = 1\nprint（x）\n"}, line=2),
        Example({"train.py": "import net\n", "net.py": "layers = [1， 2]\n"}, line=1),
    )
    passing = (Example({"train.py": "print('好：（完）')  # 注释，没问题\n"}),)

    def check(self, view: RunView) -> Iterator[Finding]:
        for script in view.scripts:
            place = full_width_place(script)
            if place is None:
                continue
            line, column, character = place
            plain = FULL_WIDTH[character]
            yield self.finding(
                Place(script.path, line, column),
                Text(
                    en=f"`{character}` is a full-width character; Python does not read it as `{plain}`.",
                    zh=f"`{character}` 是全角字符，Python 不会把它当作 `{plain}`。",
                ),
                Text(en=f"Write `{plain}` instead.", zh=f"请改为半角的 `{plain}`。"),
            )


class PythonSyntax(RunRule):
    id: ClassVar[str] = "python-syntax"
    title = Text(en="The code does not parse", zh="代码存在语法错误")
    explanation = Text(
        en="The boot file and the repository's modules that it imports must be valid for the image's Python. An older "
        "image does not read newer syntax.",
        zh="启动文件及其导入的仓库模块必须符合镜像的 Python 版本。较旧的镜像不支持较新的语法。",
    )
    failing = (
        Example({"train.py": "def train(:\n    pass\n"}, line=1),
        Example({"train.py": "x = 1\n  y = 2\n"}, line=2),
        Example({"train.py": b"print('\xff\xfe')\n"}),
        Example({"train.py": "import net\n", "net.py": "class Net(\n"}, line=1),
    )
    passing = (Example({"train.py": "match 1:\n    case 1:\n        print('3.10 and newer')\n"}),)

    def check(self, view: RunView) -> Iterator[Finding]:
        if view.boot is None and view.boot_path in view.snapshot.entries:
            yield self._unreadable(view.boot_path)
        for script in view.scripts:
            fault = script.fault
            if fault is None or full_width_place(script) is not None:
                continue
            if fault.newer_python:
                message = Text(
                    en=f"The image runs Python {view.python}, which does not read this: {fault.reason}.",
                    zh=f"镜像使用 Python {view.python}，不支持此语法：{fault.reason}。",
                )
                fix = Text(
                    en=f"Write it for Python {view.python}, or choose a framework with a newer one.",
                    zh=f"请改写为 Python {view.python} 的语法，或选择 Python 较新的框架。",
                )
            else:
                message = Text(en=f"This is not Python: {fault.reason}.", zh=f"Python 语法错误：{fault.reason}。")
                fix = Text(
                    en="Correct it; `python -m py_compile FILE` shows the same place.",
                    zh="请修正；运行 `python -m py_compile 文件` 会指出同一位置。",
                )
            yield self.finding(Place(script.path, fault.line, fault.column), message, fix)

    def _unreadable(self, path: str) -> Finding:
        return self.finding(
            Place(path),
            Text(en="The file is not UTF-8 text, or too large.", zh="文件不是 UTF-8 文本，或文件过大。"),
            Text(en="Save it as UTF-8.", zh="请以 UTF-8 编码保存。"),
        )


def full_width_place(script: Script) -> tuple[int, int, str] | None:
    """Line, column and character where full-width punctuation keeps the file from parsing."""
    if script.fault is None:
        return None
    lines = script.text.split("\n")
    number = script.fault.line
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    at = script.fault.column - 1
    # Python points at the character itself, or to where the statement that it breaks begins.
    ahead = [*range(at, len(line)), *range(min(at, len(line)))]
    for index in ahead:
        if line[index] in FULL_WIDTH and not _in_text(line, index):
            return number, index + 1, line[index]
    return None


def _in_text(line: str, index: int) -> bool:
    """Whether the character lies in a string or comment of this line, as far as the line alone tells."""
    quote = ""
    for position, character in enumerate(line[:index]):
        if quote:
            if character == quote and line[position - 1] != "\\":
                quote = ""
        elif character in "\"'":
            quote = character
        elif character == "#":
            return True
    return bool(quote)
