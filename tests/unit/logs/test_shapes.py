"""A line's shape says which forms can be in it, so that most of a log is never searched."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from trainyard.logs import shapes
from trainyard.logs.readers import new_readers
from trainyard.logs.shapes import DIGITS, Shapes
from trainyard.logs.terminal import as_lines

LOGS = sorted((Path(__file__).parents[2] / "data" / "logs").glob("*.log"))
FORMS = [form for reader in new_readers() if not reader.fallback for form in reader.forms()]
FALLBACK = [form for reader in new_readers() if reader.fallback for form in reader.forms()]
MINDSPORE = next(form for form in FORMS if form.literal == b"loss is")
STEP = b"epoch: %d step: %d, loss is 0.5\n"


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_no_form_tells_one_digit_from_another(path):
    text = b"\n%b\n" % as_lines(path.read_bytes())
    for form in (*FORMS, *FALLBACK):
        assert form.literal == form.literal.translate(DIGITS)
        found, in_shapes = (
            [match.span() for match in form.pattern.finditer(one)] for one in (text, text.translate(DIGITS))
        )
        assert found == in_shapes, form.pattern


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_form_that_is_in_a_log_is_found(path):
    text = b"\n%b\n" % as_lines(path.read_bytes())
    found = Shapes(FORMS, FALLBACK).forms_in(text)
    assert found is not None
    assert {form for form in FORMS if form.pattern.search(text)} <= found


def test_what_is_known_is_told_again_and_what_is_plain_holds_nothing():
    known = Shapes(FORMS, FALLBACK)
    assert known.forms_in(STEP % (1, 22)) == {MINDSPORE}
    assert known.forms_in(b"[INFO] worker 3 reads\n") == frozenset()
    assert known.forms_in(b"[INFO] worker 4 reads\n" + STEP % (7, 88)) == {MINDSPORE}


def test_lines_without_a_shape_in_common_are_left_to_the_search():
    chance = random.Random(1)
    known = Shapes(FORMS, FALLBACK)
    words = b"".join(bytes(chance.choices(b"abcdefgh", k=30)) + b"\n" for _ in range(500))
    assert known.forms_in(words + STEP % (1, 1)) is None
    assert known.forms_in(b"x" * 2000) is None


def test_memory_is_bounded_and_forgetting_loses_nothing(monkeypatch):
    monkeypatch.setattr(shapes, "_REMEMBERED", 50)
    known = Shapes(FORMS, FALLBACK)
    for number in range(40):
        block = b"".join(b"x" * (number * 10 + more) + b"\n" for more in range(10)) + STEP % (number, 1)
        assert known.forms_in(block) == {MINDSPORE}
    assert len(known._plain) + len(known._known) <= 50 + 200
