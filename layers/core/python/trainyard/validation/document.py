"""YAML (and with it JSON) read with the place of every key and value, bounded, and without surprises.

Scalars follow YAML 1.2's core schema: `on`, `yes` and `no` are words, and only true and false are booleans. The tree is
built from the parser's events, one by one, so that depth and size are known before anything grows.
https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from trainyard.model.text import Text

MAX_BYTES = 64 << 10
MAX_DEPTH = 32
MAX_NODES = 20_000
"""Nodes with every alias written out, which is what a billion laughs would fill memory with."""

Path = tuple[str | int, ...]
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_OCTAL = re.compile(r"0o[0-7]{1,40}")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,6})?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_WORDS |= dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
_CORE_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}


@dataclass(frozen=True)
class Position:
    """From 1."""

    line: int
    column: int


class DocumentError(Exception):
    """It is no document that we read; says where and what to do."""

    def __init__(self, position: Position, message: Text, fix: Text) -> None:
        super().__init__(message.en)
        self.position = position
        self.message = message
        self.fix = fix


@dataclass
class _Node:
    position: Position
    size: int = 1
    """Nodes in it, itself included, aliases written out."""


@dataclass
class _Scalar(_Node):
    text: str = ""
    value: Any = None


@dataclass
class _Sequence(_Node):
    items: list[_Node] = field(default_factory=list)


@dataclass
class _Mapping(_Node):
    pairs: list[tuple[_Scalar, _Node]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    key: _Scalar | None = None
    """The key whose value comes next."""


@dataclass(frozen=True)
class Document:
    """`value` as plain dicts, lists and scalars; where each of its parts was written."""

    value: Any
    keys: dict[Path, Position]
    values: dict[Path, Position]

    def position(self, path: Path, *, of_key: bool = False) -> Position | None:
        """Where `path` was written, or else the nearest part around it that was."""
        places = self.keys if of_key else self.values
        for length in range(len(path), -1, -1):
            if path[:length] in places:
                return places[path[:length]]
            if path[:length] in self.values:
                return self.values[path[:length]]
        return None


def read_document(data: bytes) -> Document:
    """The one document in `data`. DocumentError if it is none, too large, too deep, or holds a key twice."""
    root = _compose(_decode(data))
    keys: dict[Path, Position] = {}
    values: dict[Path, Position] = {}
    value = _construct(root, (), keys, values)
    return Document(value, keys, values)


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _error(
            Position(1, 1),
            f"The file is larger than {MAX_BYTES >> 10} KB.",
            f"文件超过 {MAX_BYTES >> 10} KB。",
            "Keep only the description of the runs in it.",
            "该文件只应包含训练的描述。",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        raise _error(
            Position(before.count(b"\n") + 1, 1),
            "The file is not UTF-8 text.",
            "文件不是 UTF-8 文本。",
            "Save it as UTF-8.",
            "请将文件保存为 UTF-8 编码。",
        ) from None


def _compose(text: str) -> _Node:
    """The tree of the only document. Aliases share their node."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _syntax_error(text, mark, error.problem or "it cannot be read") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error(
            Position(line, 1),
            "The file holds a character that YAML does not allow.",
            "文件中包含 YAML 不允许的字符。",
            "Remove control characters and null bytes.",
            "请删除控制字符和空字节。",
        ) from None
    return builder.root or _Scalar(Position(1, 1))


class _Builder:
    """Takes the parser's events and grows the tree, without recursion."""

    def __init__(self) -> None:
        self.root: _Node | None = None
        self._open: list[_Sequence | _Mapping] = []
        self._anchors: dict[str, _Node] = {}
        self._nodes = 0

    def take(self, event: Any) -> None:
        import yaml

        position = Position(event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.DocumentStartEvent() if self.root is not None:
                raise _error(
                    position,
                    "There is a second document in the file.",
                    "文件中有第二个文档。",
                    "Remove the line `---` and what follows it.",
                    "请删除 `---` 及其后的内容。",
                )
            case yaml.ScalarEvent():
                _refuse_tag(event, position)
                plain = event.implicit[0] and event.style in (None, "")
                explicit = event.tag is not None and event.tag != "tag:yaml.org,2002:str"
                value = _scalar(event.value) if plain or explicit else event.value
                self._add(_Scalar(position, text=event.value, value=value), event.anchor)
            case yaml.SequenceStartEvent():
                self._start(_Sequence(position), event)
            case yaml.MappingStartEvent():
                self._start(_Mapping(position), event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = self._open.pop()
                self._grow(closed)
            case yaml.AliasEvent():
                self._alias(str(event.anchor), position)

    def _start(self, node: _Sequence | _Mapping, event: Any) -> None:
        _refuse_tag(event, node.position)
        if len(self._open) >= MAX_DEPTH:
            raise _too_much(node.position)
        self._add(node, event.anchor, is_open=True)
        self._open.append(node)

    def _alias(self, anchor: str, position: Position) -> None:
        node = self._anchors.get(anchor)
        if node is None or any(node is outer for outer in self._open):
            raise _error(
                position,
                f"*{anchor[:40]} names nothing that was written before.",
                f"*{anchor[:40]} 没有对应的锚点。",
                f"Write &{anchor[:40]} at the value that is meant, before it is used.",
                f"请先在要引用的值处写上 &{anchor[:40]}。",
            )
        self._nodes += node.size
        self._attach(node, position)
        self._grow(node)

    def _add(self, node: _Node, anchor: str | None, *, is_open: bool = False) -> None:
        self._nodes += 1
        if anchor is not None:
            self._anchors[anchor] = node
        self._attach(node, node.position)
        if not is_open:
            self._grow(node)

    def _grow(self, child: _Node) -> None:
        """The sizes count aliases, so they are added when a child is complete."""
        if self._nodes > MAX_NODES:
            raise _too_much(child.position)
        if self._open:
            self._open[-1].size += child.size

    def _attach(self, node: _Node, position: Position) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent, _Sequence):
            parent.items.append(node)
        elif parent.key is None:
            if not isinstance(node, _Scalar):
                raise _error(
                    position,
                    "A key must be a word.",
                    "键必须是一个单词。",
                    "Write `name: value`; put a value that starts with { or [ in quotes if it is text.",
                    "请写成 `名称: 值`；以 { 或 [ 开头的文本请加引号。",
                )
            parent.key = node
        else:
            self._pair(parent, parent.key, node)

    def _pair(self, parent: _Mapping, key: _Scalar, node: _Node) -> None:
        if key.text != "<<" and key.text in parent.names:
            raise _error(
                key.position,
                f"The key {key.text[:60]!r} is there twice.",
                f"键 {key.text[:60]!r} 重复出现。",
                "Keep one of the two.",
                "请只保留其中一个。",
            )
        parent.names.add(key.text)
        parent.pairs.append((key, node))
        parent.key = None


def _construct(node: _Node, path: Path, keys: dict[Path, Position], values: dict[Path, Position]) -> Any:
    """Plain data. Bounded: depth by MAX_DEPTH for each alias that is followed, and size by MAX_NODES."""
    if len(path) > 2 * MAX_DEPTH:
        raise _too_much(node.position)
    values[path] = node.position
    if isinstance(node, _Scalar):
        return node.value
    if isinstance(node, _Sequence):
        return [_construct(item, (*path, index), keys, values) for index, item in enumerate(node.items)]
    assert isinstance(node, _Mapping)
    made: dict[str, Any] = {}
    for key, value in _with_merges(node):
        keys[(*path, key.text)] = key.position
        made[key.text] = _construct(value, (*path, key.text), keys, values)
    return made


def _with_merges(node: _Mapping, depth: int = 0) -> list[tuple[_Scalar, _Node]]:
    """The pairs with `<<: *name` written out; the mapping's own keys win."""
    own = {key.text for key, _ in node.pairs}
    pairs: list[tuple[_Scalar, _Node]] = []
    for key, value in node.pairs:
        if key.text != "<<":
            pairs.append((key, value))
            continue
        for source in value.items if isinstance(value, _Sequence) else [value]:
            if not isinstance(source, _Mapping) or depth > MAX_DEPTH:
                raise _error(
                    value.position,
                    "`<<` takes in a mapping, and this is none.",
                    "`<<` 只能引用映射。",
                    "Write `<<: *name` with the name of an anchor at a mapping.",
                    "请写成 `<<: *名称`，该锚点应是一个映射。",
                )
            for taken in _with_merges(source, depth + 1):
                if taken[0].text not in own:
                    own.add(taken[0].text)
                    pairs.append(taken)
    return pairs


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if infinite := _INFINITE.fullmatch(text):
        return -math.inf if infinite[1] == "-" else math.inf
    return text


def _refuse_tag(event: Any, position: Position) -> None:
    if event.tag is not None and event.tag != "!" and event.tag not in _CORE_TAGS:
        raise _error(
            position,
            "Tags (words that start with !) are not read here.",
            "此处不支持标签（以 ! 开头的词）。",
            "Remove it; put a text that starts with ! in quotes.",
            "请删除它；以 ! 开头的文本请加引号。",
        )


def _syntax_error(text: str, mark: Any, problem: str) -> DocumentError:
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = text.split("\n")
    line = min(line, max(len(lines) - 1, 0))
    for nearby in (line, line - 1):
        hint = _hint(lines[nearby]) if nearby >= 0 else None
        if hint is not None:
            return DocumentError(Position(nearby + 1, 1), *hint)
    return _error(
        Position(line + 1, column + 1),
        f"This is not YAML: {problem[:200]}.",
        f"这不是合法的 YAML：{problem[:200]}。",
        "Check the indentation, the colons followed by a space, and the brackets and quotes before this place.",
        "请检查此处之前的缩进、冒号后的空格、括号和引号。",
    )


def _hint(line: str) -> tuple[Text, Text] | None:
    """The faults that people make most, said plainly."""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return (
            Text(en="The line is indented with a tab.", zh="该行使用了制表符缩进。"),
            Text(en="Indent with spaces.", zh="请使用空格缩进。"),
        )
    if "：" in line or "，" in line:
        return (
            Text(en="The line holds full-width punctuation (： or ，).", zh="该行包含全角标点（： 或 ，）。"),
            Text(en="Write `: ` and `, ` with half-width characters.", zh="请改用半角的 `: ` 和 `, `。"),
        )
    if re.search(r"[:\[{,]\s*[>|%@`&*!]=?\s*[\w.]", line):
        return (
            Text(
                en="A text that starts with a special character is not in quotes.",
                zh="以特殊字符开头的文本没有加引号。",
            ),
            Text(en='Put it in quotes, such as ">= 0.9".', zh='请加引号，例如 ">= 0.9"。'),
        )
    return None


def _too_much(position: Position) -> DocumentError:
    return _error(
        position,
        f"The file is nested more than {MAX_DEPTH} deep or holds more than {MAX_NODES} values.",
        f"文件嵌套超过 {MAX_DEPTH} 层，或包含超过 {MAX_NODES} 个值。",
        "Keep only the description of the runs in it.",
        "该文件只应包含训练的描述。",
    )


def _error(position: Position, message_en: str, message_zh: str, fix_en: str, fix_zh: str) -> DocumentError:
    return DocumentError(position, Text(en=message_en, zh=message_zh), Text(en=fix_en, zh=fix_zh))
