"""Aim repositories, read once and read-only with RocksDB alone.

Aim's own query calls do not see a fresh repository until it is indexed, and cannot open one read-only. Its storage is
plain: each run is one RocksDB under `.aim/meta/chunks/<run>` and one under `.aim/seqs/chunks/<run>`, whose keys are
paths and whose values carry their type in the first byte (aim/storage/encoding). Written by Aim 3.15 to 3.29.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainyard.logs.recorder import POINTS_KEPT
from trainyard.logs.series import Sink
from trainyard.model.metric import MetricGroup, Metrics, Parameter, Point, downsample

_SENTINEL = 0xFE
"""Ends a part of a path; where it begins one, an integer of 8 bytes follows."""
_MOST_RUNS = 200
_LONGEST_TEXT = 2000
_OBJECT_BYTES = 64 << 20
"""Images and distributions of one run that are read; the others are listed."""
_MOST_ITEMS = 1000
_MOST_BINS = 512
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)  # fmt: skip
_DTYPES: dict[str, Any] = {"int64": "q", "float64": "d"}
# A context that only says on which data it was measured goes before the metric's name, as other loggers have it.
_SUBSETS = {"train", "val", "valid", "validation", "test", "eval"}

_Path = tuple[str | int, ...]


@dataclass
class AimItem:
    """One object that was tracked: a text, an image, a distribution, or something that is only listed."""

    step: int
    index: int | None = None
    """Of an object in a list that was tracked at once."""
    data: bytes | str | None = None
    """The text, cut at 2,000 characters; an image's file; a distribution's counts. None: not read, or too large."""
    about: dict[str, Any] = field(default_factory=dict)
    """What Aim noted of it: caption, format, width, height, range.0, range.1, dtype."""

    @property
    def text(self) -> str | None:
        return self.data if isinstance(self.data, str) else None

    @property
    def image_type(self) -> str | None:
        """The media type of an image that browsers show; by its first bytes, whatever it is said to be."""
        data = self.data if isinstance(self.data, bytes) else b""
        return next((media for head, media in _IMAGES if data.startswith(head)), None)

    @property
    def histogram(self) -> tuple[list[float], float, float] | None:
        """Counts of equally wide bins, and the values from and to which these lie; None if it is no distribution."""
        kind, low, high = _DTYPES.get(self.about.get("dtype", "")), self.about.get("range.0"), self.about.get("range.1")
        if not isinstance(self.data, bytes) or kind is None or len(self.data) % 8 or len(self.data) > 8 * _MOST_BINS:
            return None
        if not isinstance(low, int | float) or not isinstance(high, int | float):
            return None
        counts: array[Any] = array(kind, self.data)
        return list(map(float, counts)), float(low), float(high)


@dataclass
class AimSequence:
    """One tracked sequence: a metric, or texts, images, distributions and the like."""

    name: str
    context: dict[str, Any]
    kind: str = "float"
    """Aim's own name of the type: float, aim.text, aim.image, aim.distribution, aim.figure, aim.audio."""
    points: list[Point] = field(default_factory=list)
    items: list[AimItem] = field(default_factory=list)
    """The objects of what is no metric, in the order of their steps."""

    @property
    def title(self) -> str:
        """`val_accuracy` for accuracy in the context `{subset: val}`, `loss{head=a}` for another one, else the name."""
        if set(self.context) == {"subset"} and self.context["subset"] in _SUBSETS:
            return f"{self.context['subset']}_{self.name}"
        inside = ", ".join(f"{key}={value}" for key, value in sorted(self.context.items()))
        return f"{self.name}{{{inside}}}" if inside else self.name


@dataclass
class AimRun:
    hash: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    sequences: list[AimSequence] = field(default_factory=list)

    def metrics(self) -> list[AimSequence]:
        return [one for one in self.sequences if one.points]

    def objects(self) -> list[AimSequence]:
        """What is no metric: to be listed, and shown where it can be."""
        return [one for one in self.sequences if not one.points]


def read_aim(folder: Path) -> list[AimRun]:
    """The runs of the repository whose `.aim` lies in `folder`, whole or cut off; none where there is no repository.

    A run that RocksDB cannot open is left out.
    """
    chunks = folder / ".aim" / "meta" / "chunks"
    if not chunks.is_dir():
        return []
    names = sorted(path.name for path in chunks.iterdir() if path.is_dir())
    runs = (_read_run(folder / ".aim", name) for name in names[:_MOST_RUNS])
    return [run for run in runs if run is not None]


def aim_metrics(runs: list[AimRun], points_kept: int | None = POINTS_KEPT, sink: Sink | None = None) -> Metrics:
    """One group for each run that tracked a number, with its parameters; `hparams.lr` is called `lr`.

    Args:
        sink: is given every point of the series that are downsampled.
    """
    groups: list[MetricGroup] = []
    for run in runs:
        if series := run.metrics():
            group = MetricGroup(run.parameters)
            for one in series:
                group.series[one.title] = one.points
                if points_kept is not None and len(one.points) > points_kept:
                    group.counts[one.title] = len(one.points)
                    group.series[one.title] = downsample(one.points, points_kept)
                    if sink:
                        sink(len(groups), one.title, *zip(*one.points, strict=True))
            groups.append(group)
    return Metrics(groups)


def _read_run(aim: Path, name: str) -> AimRun | None:
    try:
        meta = list(_scan(aim / "meta" / "chunks" / name))
        rows = _scan(aim / "seqs" / "chunks" / name) if (aim / "seqs" / "chunks" / name).is_dir() else iter(())
        found, items = _columns(rows)
    except _errors():
        return None
    run = AimRun(name)
    contexts: dict[Any, dict[str, Any]] = {}
    kinds: dict[tuple[Any, str], str] = {}
    for path, value in meta:
        match path:
            case ("meta", "chunks", _, "attrs", first, *rest) if isinstance(value, str | int | float):
                run.parameters[".".join(map(str, [first, *rest])).removeprefix("hparams.")] = value
            case ("meta", "chunks", _, "contexts", context, key, *rest):
                contexts.setdefault(context, {})[".".join(map(str, [key, *rest]))] = value
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


def _columns(rows: Iterator[tuple[_Path, Any]]) -> tuple[dict[_Place, _Columns], dict[_Place, _Items]]:
    """Of each sequence the columns (`val`, `step`, `epoch`, ...), key of the row -> value; and its objects."""
    found: dict[_Place, _Columns] = {}
    objects: dict[_Place, _Items] = {}
    left = _OBJECT_BYTES
    for path, value in rows:
        match path:
            case ("seqs", "v2", "chunks", _, context, str(name), str(column), int(key)):
                found.setdefault((context, name), {}).setdefault(column, {})[key] = value
            # The first layout has no column of steps: its rows are keyed by them.
            case ("seqs", "chunks", _, context, str(name), str(column), int(key)):
                columns = found.setdefault((context, name), {})
                columns.setdefault(column, {})[key] = value
                columns.setdefault("step", {})[key] = key
            case ("BLOBS", "seqs", *_, context, str(name), "val", int(key), int(index), "data"):
                left -= _add(objects, (context, name), (key, index), value, left)
            case ("BLOBS", "seqs", *_, context, str(name), "val", int(key), "data"):
                left -= _add(objects, (context, name), (key, None), value, left)
            case ("seqs", *_, context, str(name), "val", int(key), int(index), str(about)):
                _item(objects, (context, name), (key, index)).about[about] = value
            case ("seqs", *_, context, str(name), "val", int(key), str(about), int(number)):
                _item(objects, (context, name), (key, None)).about[f"{about}.{number}"] = value
            case ("seqs", *_, context, str(name), "val", int(key), str(about)):
                _item(objects, (context, name), (key, None)).about[about] = value
    return found, objects


def _item(objects: dict[_Place, _Items], place: _Place, key: tuple[int, int | None]) -> AimItem:
    items = objects.setdefault(place, {})
    return items.setdefault(key, AimItem(*key))


def _add(objects: dict[_Place, _Items], place: _Place, key: tuple[int, int | None], value: Any, left: int) -> int:
    """Keep an object's content if there is room left for it; gives how much that takes."""
    item, items = _item(objects, place, key), objects[place]
    if isinstance(value, str):
        item.data = value[:_LONGEST_TEXT]
    elif isinstance(value, bytes) and len(value) <= left and len(items) <= _MOST_ITEMS:
        item.data = value
    return len(item.data) if item.data is not None else 0


def _sequence(sequence: AimSequence, columns: _Columns, items: _Items) -> AimSequence:
    values, steps, epochs = columns.get("val", {}), columns.get("step", {}), columns.get("epoch", {})
    for key in sorted(values, key=lambda key: (_number(steps.get(key)) or 0, key)):
        step, value = _number(steps.get(key)), values[key]
        at = None if step is None else int(step)
        if isinstance(value, int | float) and not isinstance(value, bool):
            sequence.points.append(Point(at, _number(epochs.get(key)), float(value)))
    for row, index in sorted(items, key=lambda place: (place[0], place[1] or 0)):
        item, step = items[row, index], _number(steps.get(row))
        item.step = row if step is None else int(step)
        sequence.items.append(item)
    return sequence


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _scan(folder: Path) -> Iterator[tuple[_Path, Any]]:
    import aimrocks

    entries = aimrocks.DB(str(folder), aimrocks.Options(), read_only=True).iteritems()
    entries.seek_to_first()
    for key, value in entries:
        try:
            yield _path(key), _value(value)
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
    4: lambda content: content.decode(),
    5: lambda content: content,
}
