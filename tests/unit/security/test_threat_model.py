"""SECURITY.md promises a test for each threat: every one that it names is there."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:\w+/)+\w+)(?:\.py)?::(test_\w+)`", TEXT)))
ALONE = sorted(set(re.findall(r"`(test_\w+)`", TEXT)))


def test_tests_are_named() -> None:
    assert len(NAMED) >= 30


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / "tests" / f"{file}.py").read_text()


@pytest.mark.parametrize("name", ALONE)
def test_a_test_named_without_its_file_exists(name: str) -> None:
    files = (ROOT / "tests").rglob("test_*.py")
    assert any(f"def {name}(" in file.read_text() for file in files)


@pytest.mark.parametrize("chapter", ["Threats", "What is decoded", "A script and its runner"])
def test_every_row_names_a_test(chapter: str) -> None:
    table = TEXT.split(f"## {chapter}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert rows
    assert [row for row in rows if not re.search(r"(::|`)test_\w+`", row)] == []
