"""Every text in both languages, and none that nobody reads."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

from trainyard.model.run import Origin, RunState
from trainyard.web.pages import words
from trainyard.web.pages.words import WORDS

WEB = Path(words.__file__).parents[1]
SOURCES = [*sorted((WEB / "templates").rglob("*.html")), *sorted((WEB / "pages").glob("*.py"))]
_SAID = re.compile(r"""\bt\(\s*'([a-z_.]+)'\s*([,)~])""")
_BUILT = re.compile(r"""\bt\('([a-z_.]*\.)' ~""")
_IN_PYTHON = re.compile(r'"((?:plot|form)\.(?!html)[a-z_]+)"')


def said() -> tuple[set[str], set[str]]:
    """Keys that are named in full, and the beginnings of those that are put together."""
    text = "\n".join(path.read_text() for path in SOURCES if path.name != "words.py")
    return {key for key, behind in _SAID.findall(text) if behind != "~"} | set(_IN_PYTHON.findall(text)), set(
        _BUILT.findall(text)
    )


def test_no_text_lacks_a_language() -> None:
    for key, text in WORDS.items():
        assert text.en.strip(), key
        assert text.zh.strip(), key
        assert _fields(text.en) == _fields(text.zh), f"{key}: a value is named in one language only"


def test_every_text_that_is_asked_for_is_there() -> None:
    keys, _ = said()
    assert keys - set(WORDS) == set()
    for kind, values in (("state", RunState), ("origin", Origin)):
        assert {f"{kind}.{value}" for value in values} <= set(WORDS)


def test_every_text_is_used_and_written_once() -> None:
    keys, beginnings = said()
    unused = {key for key in WORDS if key not in keys and not key.startswith(tuple(beginnings))}
    assert unused == set()
    tree = ast.parse(Path(words.__file__).read_text())
    entries = [
        node.elts[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple) and isinstance(node.elts[0], ast.Constant)
    ]
    assert len(entries) == len(set(entries)) == len(WORDS)


@pytest.mark.parametrize("folder", [path for path in (WEB / "templates").iterdir() if path.is_dir()])
def test_prose_in_two_languages_has_the_same_parts(folder: Path) -> None:
    parts = {path.stem: re.findall(r'<h2 id="(\w+)"', path.read_text()) for path in folder.glob("*.html")}
    assert set(parts) == {"en", "zh"}
    assert parts["en"] == parts["zh"]


def test_templates_hold_no_words_of_their_own() -> None:
    """But for the guide, names, and units."""
    for path in (WEB / "templates").glob("*.html"):
        text = re.sub(
            r"\{[{%#].*?[}%#]\}|<(script|style|pre)\b.*?</\1>|<[^>]*>|[a-z-]+=\"[^\"]*\"|&[a-z]+;",
            " ",
            path.read_text(),
            flags=re.DOTALL,
        )
        left = set(re.findall(r"[A-Za-z\u4e00-\u9fff]{2,}", text)) - {
            "Trainyard", "HTTP", "UTC", "English", "中文", "vCPU", "Python", "GiB",
        }  # fmt: skip
        assert left == set(), path.name


def _fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}
