"""Python files are parsed, never run, and the repository's own modules that a script imports are found."""

from __future__ import annotations

import ast
import codecs
import io
import sys
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from trainyard.validation.snapshot import Snapshot

MAX_MODULES = 100
"""Of the repository's own modules that are followed from one script."""
MAX_SOURCE_BYTES = 204_800
"""A larger file may not be in a project anyway."""
MAX_TOTAL_BYTES = 2 * MAX_SOURCE_BYTES
"""Of all modules that are followed from one script: a tree can take hundreds of times the memory of its text."""


@dataclass(frozen=True)
class SyntaxFault:
    """Why a file does not parse."""

    line: int
    column: int
    reason: str
    newer_python: bool = False
    """It parses, but only for a newer Python than the image's."""


@dataclass(frozen=True)
class Script:
    """One Python file. `tree` is None where it does not parse, and `fault` says why."""

    path: str
    text: str
    tree: ast.Module | None
    fault: SyntaxFault | None = None

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node, parents before children."""
        return tuple(ast.walk(self.tree)) if self.tree is not None else ()

    @cached_property
    def calls(self) -> tuple[ast.Call, ...]:
        return tuple(node for node in self.nodes if isinstance(node, ast.Call))

    @cached_property
    def has_main_guard(self) -> bool:
        """Whether it is also a script of its own: `if __name__ == "__main__":`."""
        return any(isinstance(node, ast.Name) and node.id == "__name__" for node in self.nodes)


def read_script(snapshot: Snapshot, path: str, python: str) -> Script | None:
    """The file, decoded as Python would and parsed; None if it is not there, too large or not decodable."""
    entry = snapshot.entries.get(path)
    data = None if entry is None or (entry.size or 0) > MAX_SOURCE_BYTES else snapshot.read(path)
    text = None if data is None else _decoded(data)
    return None if text is None else parse_script(path, text, python)


def parse_script(path: str, text: str, python: str) -> Script:
    """Parse for a version of Python, such as `3.7`. The outcome is a tree or a fault; neither where we cannot tell."""
    version = _version(python)
    tree, fault = _parse(text, version)
    if fault is not None and version > sys.version_info[:2]:
        return Script(path, text, None)  # syntax that this Python does not know yet
    if fault is not None:
        newest, _ = _parse(text, None)
        if newest is not None:
            fault = SyntaxFault(fault.line, fault.column, fault.reason, newer_python=True)
    return Script(path, text, tree, fault)


def reachable_scripts(snapshot: Snapshot, boot: Script, python: str) -> tuple[Script, ...]:
    """The boot file and the repository's modules that it imports, directly or through each other, nearest first.

    At most MAX_MODULES with MAX_TOTAL_BYTES of source. A module past that is there without a tree, so that nobody
    takes the others for all there is.
    """
    found = {boot.path: boot}
    waiting = [boot]
    left = MAX_TOTAL_BYTES - len(boot.text)
    roots = _roots(boot.path)
    while waiting:
        script = waiting.pop(0)
        for path in _imported_files(snapshot, script, roots):
            if path in found:
                continue
            size = snapshot.entries[path].size or 0
            if size > left or len(found) >= MAX_MODULES:
                return (*found.values(), Script(path, "", None))
            module = read_script(snapshot, path, python)
            if module is not None:
                left -= size
                found[path] = module
                waiting.append(module)
    return tuple(found.values())


def _roots(boot: str) -> list[str]:
    """Folders that modules are looked up in: the boot file's, those around it, and `src` where scripts put it."""
    roots = [boot.rpartition("/")[0]]
    while roots[-1]:
        roots.append(roots[-1].rpartition("/")[0])
    return [*roots, *(f"{root}/src" if root else "src" for root in roots)]


def _decoded(data: bytes) -> str | None:
    """As Python reads a source: UTF-8 unless its first lines name another coding (PEP 263)."""
    try:
        coding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(coding) if codecs.lookup(coding).name in _CODINGS else None
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return None


# Those that sources are written in; some others take forever on hostile input.
_CODINGS = {
    codecs.lookup(name).name
    for name in ("utf-8", "utf-8-sig", "ascii", "latin-1", "cp1252", "iso8859-15", "gbk", "gb2312", "gb18030", "big5",
                 "shift_jis", "euc_jp", "euc_kr", "koi8-r", "cp1251")
}  # fmt: skip


def dotted_name(node: ast.AST) -> str:
    """`a.b.c` for an expression that is only names and dots; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == name), None)


def constant(node: ast.AST | None) -> object:
    """The value of a literal; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, int | float) else None
    return node.value if isinstance(node, ast.Constant) else None


def _version(python: str) -> tuple[int, int]:
    major, _, minor = python.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (3, 11)


def _parse(text: str, version: tuple[int, int] | None) -> tuple[ast.Module | None, SyntaxFault | None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, feature_version=version), None
    except SyntaxError as error:
        return None, SyntaxFault(error.lineno or 1, max(error.offset or 1, 1), error.msg or "invalid syntax")
    except ValueError:  # null bytes, or digits beyond what Python reads
        line = text.count("\n", 0, text.find("\0")) + 1 if "\0" in text else 1
        return None, SyntaxFault(line, 1, "the file holds a null byte or a number with too many digits")
    except (MemoryError, RecursionError):
        return None, SyntaxFault(1, 1, "the code is nested too deeply")


def _imported_files(snapshot: Snapshot, script: Script, roots: list[str]) -> Iterator[str]:
    here = script.path.rpartition("/")[0]
    for node in script.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(snapshot, roots, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = roots if node.level == 0 else [_up(here, node.level - 1)]
            parts = node.module.split(".") if node.module else []
            yield from _module_files(snapshot, base, parts)
            for alias in node.names:
                yield from _module_files(snapshot, base, [*parts, alias.name])


def _up(folder: str, levels: int) -> str:
    for _ in range(levels):
        folder = folder.rpartition("/")[0]
    return folder


def _module_files(snapshot: Snapshot, roots: list[str], parts: list[str]) -> Iterator[str]:
    for root in roots:
        stem = "/".join([root, *parts] if root else parts)
        for path in (f"{stem}.py", f"{stem}/__init__.py"):
            if path in snapshot.entries:
                yield path
