"""Which forms of metrics a block of the log can hold, told by the shapes of its lines.

A log is printed by a few statements of a script: its millions of lines have a handful of shapes, a shape being a line
in which every digit is a 0. Whether a form is in a line follows from the shape, so each shape is searched once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trainyard.logs.readers.contract import Form

DIGITS = bytes.maketrans(b"123456789", b"000000000")
"""What makes a shape of a line, for `bytes.translate`."""
# Lines that differ in more than their digits (random words, binary junk): searching the block as it is costs less.
_NEW_AT_ONCE = 200
_LONGEST = 1000
_REMEMBERED = 4000


class Shapes:
    """Remembers the shapes of one log, in bounded memory."""

    def __init__(self, forms: Sequence[Form], fallback: Sequence[Form]) -> None:
        """`fallback` forms count only for lines in which there is none of the others."""
        self._forms, self._fallback = forms, fallback
        self._plain: set[bytes] = set()
        self._known: dict[bytes, frozenset[Form]] = {}
        self._lines: list[bytes] = []
        self._found: set[bytes] = set()

    def forms_in(self, text: bytes) -> frozenset[Form] | None:
        """The forms that the lines of `text` can hold: no others are in it. None: too many shapes to tell."""
        if len(self._plain) + len(self._known) > _REMEMBERED:
            self._plain.clear()
            self._known.clear()
        self._lines = text.translate(DIGITS).split(b"\n")
        self._found = set(self._lines) - self._plain
        new = self._found - self._known.keys()
        if len(new) > _NEW_AT_ONCE or any(len(shape) > _LONGEST for shape in new):
            return None
        self._learn(new)
        return frozenset().union(*(self._known[shape] for shape in self._found if shape in self._known))

    def order_of(self, forms: Sequence[Form]) -> list[int]:
        """Which of `forms`, by number, the lines that hold one do hold, in the text that was just told about."""
        number_of = {
            shape: number
            for shape in self._found & self._known.keys()
            for number, form in enumerate(forms)
            if form in self._known[shape]
        }
        return list(map(number_of.__getitem__, filter(number_of.__contains__, self._lines)))

    def _learn(self, shapes: Iterable[bytes]) -> None:
        for shape in shapes:
            line = b"\n%b\n" % shape
            if found := _found_in(line, self._forms) or _found_in(line, self._fallback):
                self._known[shape] = found
            else:
                self._plain.add(shape)


def _found_in(line: bytes, forms: Sequence[Form]) -> frozenset[Form]:
    return frozenset(form for form in forms if form.may_be_in(line) and form.pattern.search(line))
