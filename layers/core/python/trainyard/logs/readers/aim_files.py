"""Reads an Aim repository once and read-only with RocksDB alone, as a program: `aim_files FOLDER`, a run on each line.

Aim's own query calls do not see a fresh repository until it is indexed, and cannot open one read-only. Its storage is
plain: each run is one RocksDB under `.aim/meta/chunks/<run>` and one under `.aim/seqs/chunks/<run>`, whose keys are
paths and whose values carry their type in the first byte (aim/storage/encoding). Written by Aim 3.15 to 3.29.

Whatever the files say, it ends: within `_MEMORY_BYTES` and `_PROCESSOR_SECONDS`, which the system holds, and of each
run only so many rows, names and bytes are kept. It is started by `aim.read_aim` without anything that is worth having.
"""

from __future__ import annotations

import math
import resource
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from trainyard.logs.readers.aim import AimItem, AimRun, AimSequence, to_line
from trainyard.model.metric import Point

_MEMORY_BYTES = 768 << 20
_PROCESSOR_SECONDS = 150
_MOST_RUNS = 200
_MOST_ROWS = 1_500_000
"""Of one run that are looked at; a point is two or three."""
_MOST_ATTRIBUTES = 5000
_MOST_SEQUENCES = 2000
_LONGEST_KEY = 4096
_LONGEST_TEXT = 2000
_OBJECT_BYTES = 64 << 20
"""Images and distributions of all runs that are read; the others are listed."""
_MOST_ITEMS = 1000
"""Objects of one sequence."""
_MOST_NOTES = 20
"""Of one object."""
_SENTINEL = 0xFE
"""Ends a part of a path; where it begins one, an integer of 8 bytes follows."""

_Path = tuple[str | int, ...]


def main() -> None:
    for kind, limit in ((resource.RLIMIT_AS, _MEMORY_BYTES), (resource.RLIMIT_CPU, _PROCESSOR_SECONDS)):
        with suppress(ValueError, OSError):  # macOS has no such limit of memory
            resource.setrlimit(kind, (limit, limit))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for run in read_files(Path(sys.argv[1]) / ".aim"):
        sys.stdout.buffer.write(to_line(run))
        sys.stdout.buffer.flush()


def read_files(aim: Path) -> Iterator[AimRun]:
    """The runs below `.aim`; one that cannot be read is left out."""
    room = _Room(_OBJECT_BYTES)
    names = sorted(path.name for path in (aim / "meta" / "chunks").iterdir() if path.is_dir())
    for name in names[:_MOST_RUNS]:
        run = _read_run(aim, name, room)
        if run is not None:
            yield run


class _Room:
    """How many bytes of objects may still be kept."""

    def __init__(self, left: int) -> None:
        self.left = left


def _read_run(aim: Path, name: str, room: _Room) -> AimRun | None:
    failures: tuple[type[Exception], ...] = (*_errors(), OSError)
    try:
        meta = list(islice(_scan(aim / "meta" / "chunks" / name), _MOST_ATTRIBUTES))
        rows = _scan(aim / "seqs" / "chunks" / name) if (aim / "seqs" / "chunks" / name).is_dir() else iter(())
        found, items = _columns(islice(rows, _MOST_ROWS), room)
    except failures:
        return None
    run = AimRun(name)
    contexts: dict[Any, dict[str, Any]] = {}
    kinds: dict[tuple[Any, str], str] = {}
    for path, value in meta:
        match path:
            case ("meta", "chunks", _, "attrs", first, *rest) if isinstance(value, str | int | float):
                run.parameters[_name([first, *rest]).removeprefix("hparams.")] = value
            case ("meta", "chunks", _, "contexts", context, key, *rest):
                contexts.setdefault(context, {})[_name([key, *rest])] = (
                    value if isinstance(value, str | int | float) else "..."
                )
            case ("meta", "chunks", _, "traces", context, str(sequence), "dtype"):
                kinds[context, sequence] = str(value)
    for place, columns in found.items():
        context, title = place
        empty = AimSequence(title, contexts.get(context, {}), kinds.get(place, "float"))
        run.sequences.append(_sequence(empty, columns, items.get(place, {})))
    run.sequences.sort(key=lambda one: one.title)
    return run


_Columns = dict[str, dict[int, Any]]


_Place = tuple[Any, str]
"""Context and name of a sequence."""
_Items = dict[tuple[int, int | None], AimItem]


def _columns(rows: Iterator[tuple[_Path, Any]], room: _Room) -> tuple[dict[_Place, _Columns], dict[_Place, _Items]]:
    """Of each sequence the columns (`val`, `step`, `epoch`, ...), key of the row -> value; and its objects."""
    found: dict[_Place, _Columns] = {}
    objects: dict[_Place, _Items] = {}
    for path, value in rows:
        match path:
            case ("seqs", "v2", "chunks", _, context, str(name), str(column), int(key)):
                _note(found, (context, name), column, key, value)
            # The first layout has no column of steps: its rows are keyed by them.
            case ("seqs", "chunks", _, context, str(name), str(column), int(key)):
                _note(found, (context, name), column, key, value)
                _note(found, (context, name), "step", key, key)
            case ("BLOBS", "seqs", *_, context, str(name), "val", int(key), int(index), "data"):
                _add(objects, (context, name), (key, index), value, room)
            case ("BLOBS", "seqs", *_, context, str(name), "val", int(key), "data"):
                _add(objects, (context, name), (key, None), value, room)
            case ("seqs", *_, context, str(name), "val", int(key), int(index), str(about)):
                _tell(objects, (context, name), (key, index), about, value)
            case ("seqs", *_, context, str(name), "val", int(key), str(about), int(number)):
                _tell(objects, (context, name), (key, None), f"{about}.{number}", value)
            case ("seqs", *_, context, str(name), "val", int(key), str(about)):
                _tell(objects, (context, name), (key, None), about, value)
    return found, objects


def _note(found: dict[_Place, _Columns], place: _Place, column: str, key: int, value: Any) -> None:
    """A number of a row; of anything else only that there is such a column."""
    if place not in found and len(found) >= _MOST_SEQUENCES:
        return
    rows = found.setdefault(place, {}).setdefault(column, {})
    if _number(value) is not None:
        rows[key] = value


def _item(objects: dict[_Place, _Items], place: _Place, key: tuple[int, int | None]) -> AimItem | None:
    """None where there are too many already."""
    if place not in objects and len(objects) >= _MOST_SEQUENCES:
        return None
    items = objects.setdefault(place, {})
    return items.setdefault(key, AimItem(*key)) if key in items or len(items) < _MOST_ITEMS else None


def _tell(objects: dict[_Place, _Items], place: _Place, key: tuple[int, int | None], about: str, value: Any) -> None:
    item = _item(objects, place, key)
    if item is not None and len(item.about) < _MOST_NOTES and isinstance(value, str | int | float):
        item.about[about] = value


def _add(objects: dict[_Place, _Items], place: _Place, key: tuple[int, int | None], value: Any, room: _Room) -> None:
    """Keep an object's content if there is room left for it."""
    item = _item(objects, place, key)
    if item is not None and isinstance(value, bytes | str) and len(value) <= room.left:
        item.data = value
        room.left -= len(value)


def _sequence(sequence: AimSequence, columns: _Columns, items: _Items) -> AimSequence:
    values, steps, epochs = columns.get("val", {}), columns.get("step", {}), columns.get("epoch", {})
    for key in sorted(values, key=lambda key: (_number(steps.get(key)) or 0, key)):
        sequence.points.append(Point(_step(steps.get(key)), _number(epochs.get(key)), float(values[key])))
    for row, index in sorted(items, key=lambda place: (place[0], place[1] or 0)):
        item, step = items[row, index], _step(steps.get(row))
        item.step = row if step is None else step
        sequence.items.append(item)
    return sequence


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _step(value: Any) -> int | None:
    """Steps are whole numbers, unless somebody made them."""
    number = _number(value)
    return None if number is None or not math.isfinite(number) else int(number)


def _name(parts: list[str | int]) -> str:
    return ".".join(map(str, parts))[:_LONGEST_TEXT]


def _scan(folder: Path) -> Iterator[tuple[_Path, Any]]:
    import aimrocks

    entries = aimrocks.DB(str(folder), aimrocks.Options(), read_only=True).iteritems()
    entries.seek_to_first()
    for key, value in entries:
        try:
            yield _path(key[:_LONGEST_KEY]), _value(value)
        except (ValueError, struct.error, IndexError):  # not one of Aim's, or damaged: the others count
            continue


def _errors() -> tuple[type[Exception], ...]:
    """What RocksDB raises on files that are damaged or not there."""
    from aimrocks import errors

    return tuple(kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception))


def _path(key: bytes) -> _Path:
    parts: list[str | int] = []
    position = 0
    while position < len(key):
        if key[position] == _SENTINEL:
            parts.append(int(struct.unpack(">q", key[position + 1 : position + 9])[0]))
            position += 10
        else:
            end = key.index(_SENTINEL, position)
            parts.append(key[position:end].decode())
            position = end + 1
    return tuple(parts)


def _value(data: bytes) -> Any:
    """None, bool, int, float, str; an array or object is named by its type, bytes stay bytes."""
    if not data:
        return None
    kind, content = data[0], data[1:]
    reader = _TYPES.get(kind)
    return None if kind == 0 else ... if reader is None else reader(content)


_TYPES: dict[int, Callable[[bytes], Any]] = {
    1: lambda content: content[0] != 0,
    2: lambda content: struct.unpack("<q", content)[0],
    3: lambda content: struct.unpack("<d", content)[0],
    # A character has four bytes at most; half of one at the end is left away.
    4: lambda content: content[: 4 * _LONGEST_TEXT].decode(errors="ignore")[:_LONGEST_TEXT],
    5: lambda content: content,
}


if __name__ == "__main__":
    main()
