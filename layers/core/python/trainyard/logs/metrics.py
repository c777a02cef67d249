"""From a log's bytes to metrics: one pass in constant memory that feeds every reader.

A block of the log is searched for each form as a whole. Where it holds only lines that are alike (a table), its columns
are converted at once; only what lies between them is read match by match, in the log's order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import itemgetter

from trainyard.logs.readers import new_readers
from trainyard.logs.readers.contract import Form, Table
from trainyard.logs.recorder import POINTS_KEPT, Recorder
from trainyard.logs.series import Sink
from trainyard.logs.shapes import Shapes
from trainyard.logs.terminal import as_lines
from trainyard.model.metric import Metrics

_LONGEST_LINE = 1 << 20
# A runner ships a few lines at a time; together they are worth looking at as columns.
_BLOCK = 256 << 10
# So small a block gains nothing from columns.
_SMALL = 4 << 10

_Form = tuple[Form, str]
"""With the name of its reader."""


class MetricScanner:
    """Give it the log in pieces of any size, then ask for the metrics."""

    def __init__(self, points_kept: int | None = POINTS_KEPT, sink: Sink | None = None) -> None:
        """`points_kept` None: every point, at the price of memory. `sink`: see `Recorder`."""
        self._recorder = Recorder(points_kept, sink)
        self._waiting: list[bytes] = []
        self._size, self._wanted = 0, _BLOCK
        readers = new_readers()
        self._forms = [(form, reader.name) for reader in readers if not reader.fallback for form in reader.forms()]
        self._fallback = [(form, reader.name) for reader in readers if reader.fallback for form in reader.forms()]
        self._shapes = Shapes([form for form, _ in self._forms], [form for form, _ in self._fallback])

    def feed(self, data: bytes) -> None:
        """The next bytes of the log. A line longer than 1 MiB is read in pieces."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= self._wanted:
            self._scan_waiting()

    def finish(self) -> Metrics:
        """The metrics of all that was fed."""
        if rest := b"".join(self._waiting):
            self._scan(rest)
        self._waiting = []
        return self._recorder.metrics()

    def _scan_waiting(self) -> None:
        """All whole lines of what waits; a line's beginning waits on, but not for ever."""
        data = b"".join(self._waiting)
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if len(data) - end >= _LONGEST_LINE:
            end = len(data)
        if end:
            self._scan(data[:end])
        self._waiting = [data[end:]]
        self._size = len(data) - end
        # What has no line break yet is not looked at again for each byte that comes.
        self._wanted = max(_BLOCK, 2 * self._size)

    def _scan(self, lines: bytes) -> None:
        # Forms find the beginning of a line by the line break before it, and its end by the one after it.
        text = b"\n%b\n" % as_lines(lines)
        if len(text) < _SMALL:
            self._scan_rows(text, self._forms, self._fallback)
            return
        forms, fallback = self._forms_in(text)
        if not (forms or fallback) or self._scan_tables(text, forms, fallback):
            return
        self._scan_rows(text, forms, fallback)

    def _forms_in(self, text: bytes) -> tuple[list[_Form], list[_Form]]:
        """Those that are worth looking for; in most blocks they are one or two."""
        found = self._shapes.forms_in(text)
        if found is None:
            return [one for one in self._forms if one[0].may_be_in(text)], self._fallback
        return [one for one in self._forms if one[0] in found], [one for one in self._fallback if one[0] in found]

    def _scan_tables(self, text: bytes, forms: list[_Form], fallback: list[_Form]) -> bool:
        """Take the whole block as tables. False, and nothing was recorded, where it is not that regular."""
        tables, rest = [], text
        for form, source in forms:
            if form.columns:
                table, rest = _split_table(form, rest)
                if table is None:
                    return False
                if table.epochs:
                    tables.append((table, source, form))
        if not tables:
            return False
        others = [form for form, _ in (*forms, *fallback) if not form.columns]
        events = _events(others, text, rest) if others else []
        if events is None or len(events) * 8 > sum(len(table.epochs) for table, _, _ in tables):
            return False
        if events:
            self._scan_between(text, events, tables, forms, fallback)
            return True
        order = self._shapes.order_of([form for _, _, form in tables]) if len(tables) > 1 else None
        return self._add_tables(text, tables, order)

    def _scan_between(
        self,
        text: bytes,
        events: list[int],
        tables: list[tuple[Table, str, Form]],
        forms: list[_Form],
        fallback: list[_Form],
    ) -> None:
        """Lines that are no table's cut the block: rows for them, tables for what lies between."""
        done = 0
        for event in [*events, len(text) - 1]:
            piece = text[done : event + 1]
            parts = [(_find_table(form, piece), source, form) for _, source, form in tables]
            found = [(table, source, form) for table, source, form in parts if table is not None and table.epochs]
            if not self._add_tables(piece, found):
                self._scan_rows(piece, forms, fallback)
            done = text.find(b"\n", event + 1)
            if done < 0:
                return
            self._scan_rows(text[event : done + 1], forms, fallback)

    def _add_tables(
        self, text: bytes, tables: list[tuple[Table, str, Form]], order: Sequence[int] | None = None
    ) -> bool:
        """Tables side by side, unless an epoch falls. `order`: if it is known, the table of each line that has one."""
        sources = [(table, source) for table, source, _ in tables]
        if not all(self._recorder.fits(*one) for one in sources):
            return False
        if len(tables) == 1:
            order = [0] * len(tables[0][0].epochs)
        elif order is None or any(order.count(n) != len(table.epochs) for n, (table, _) in enumerate(sources)):
            order = _order([form for _, _, form in tables], text)
        self._recorder.add_tables(sources, order)
        return True

    def _scan_rows(self, text: bytes, forms: list[_Form], fallback: list[_Form]) -> None:
        """Match by match, in the log's order."""
        found = [
            (match.start(), form, source, match)
            for form, source in forms
            if form.may_be_in(text)
            for match in form.pattern.finditer(text)
        ]
        found.sort(key=itemgetter(0))
        done = 0
        for start, form, source, match in found:
            if start < done - 1:
                continue
            self._scan_rest(text, done, start, fallback)
            self._record(form, source, match)
            done = text.find(b"\n", match.end())
        self._scan_rest(text, done, len(text), fallback)

    def _scan_rest(self, text: bytes, start: int, end: int, fallback: list[_Form]) -> None:
        """Lines between two that were understood: only for the readers that take what is left."""
        end = text.rfind(b"\n", start, end + 1)
        if end > start:
            found = {
                text.rfind(b"\n", start, match.start()): (form, source, match)
                for form, source in fallback
                for match in form.pattern.finditer(text, start, end)
            }
            for line in sorted(found):
                self._record(*found[line])

    def _record(self, form: Form, source: str, match: re.Match[bytes]) -> None:
        try:
            row = form.row(match)
        except ValueError:  # it looked like a number and is none
            return
        if row is not None:
            self._recorder.add(row, source)


def _split_table(form: Form, text: bytes) -> tuple[Table | None, bytes]:
    """All matches of a table's form as columns, and the text without them; None if one is not a number throughout."""
    parts = form.pattern.split(text)
    width = form.pattern.groups + 1
    return form.table([parts[number::width] for number in range(1, width)]), b"".join(parts[::width])


def _find_table(form: Form, text: bytes) -> Table | None:
    return form.table([list(column) for column in zip(*form.pattern.findall(text), strict=True)])


def _order(forms: list[Form], text: bytes) -> list[int]:
    """The number of the form of each match, one behind the other."""
    found = [(match.start(), number) for number, form in enumerate(forms) for match in form.pattern.finditer(text)]
    return [number for _, number in sorted(found)]


def _events(forms: list[Form], text: bytes, rest: bytes) -> list[int] | None:
    """Where lines begin (the line break before them) that no table holds, in order; None if that cannot be said.

    `rest`: the text without its tables.
    """
    found = {match.start() for form in forms if form.may_be_in(rest) for match in form.pattern.finditer(rest)}
    events, behind = [], 0
    for start in sorted({rest.rfind(b"\n", 0, position + 1) for position in found}):
        line = rest[start : rest.find(b"\n", start + 1) + 1]
        position = text.find(line, behind)
        if position < 0:
            return None
        events.append(position)
        behind = position + len(line) - 1
    return events
