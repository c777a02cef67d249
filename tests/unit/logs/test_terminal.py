from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.logs.terminal import as_lines, readable

LOGS = Path(__file__).parents[2] / "data" / "logs"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain\n", "plain\n"),
        (b" 10%\r 50%\r100%\n", "100%\n"),
        (b" 10%\r 50%\r", " 50%"),
        (b"windows\r\nlines\r\n", "windows\nlines\n"),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07text\x1b[2K", "red text"),
        (b"abc\b\b\bxyz", "xyz"),
        ("多字\b节".encode(), "多节"),
        (b"half \xe4\xbd", "half \ufffd"),
        (b"\x00\x01\xff\n", "\u2400\u2401\ufffd\n"),
        (b"tab\tstays", "tab\tstays"),
        (b"\b\b", ""),
        (b"", ""),
    ],
)
def test_shown_as_a_terminal_would(data, shown):
    assert readable(data) == shown


def test_keras_shows_one_line_for_each_epoch():
    lines = readable((LOGS / "keras_verbose1.log").read_bytes()).splitlines()
    assert lines[0] == "Epoch 1/2"
    assert [line for line in lines if "val_loss: 2.0489" in line]
    assert len(lines) <= 5
    assert not any("\x1b" in line or "\b" in line for line in lines)


@given(st.binary(max_size=200))
def test_any_bytes_are_text_without_control_characters(data):
    assert not [c for c in readable(data) if ord(c) < 32 and c not in "\n\t"]
    assert b"\r" not in as_lines(data)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=100))
def test_text_stays_as_it_is(text):
    assert readable(text.encode()) == text
