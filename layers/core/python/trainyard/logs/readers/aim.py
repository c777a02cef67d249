"""What an Aim repository holds: metrics, and texts, images and distributions to be shown.

`aim_files` reads it, in a process of its own: RocksDB is native code that was made for files of one's own, and these
are a script's. It has an end in memory and time, no credentials, and where it breaks off, what came before counts.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from trainyard.logs.recorder import POINTS_KEPT
from trainyard.logs.series import Sink
from trainyard.model.metric import MetricGroup, Metrics, Parameter, Point, downsample

_MOST_BINS = 512
_READER = ("-m", "trainyard.logs.readers.aim_files")
READING_SECONDS = 180.0
MOST_BYTES = 128 << 20
"""Of what the reader may tell, images among it."""
MOST_POINTS = 1_000_000
"""Of all series together."""
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)  # fmt: skip
_DTYPES: dict[str, Any] = {"int64": "q", "float64": "d"}
# A context that only says on which data it was measured goes before the metric's name, as other loggers have it.
_SUBSETS = {"train", "val", "valid", "validation", "test", "eval"}


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

    A run that RocksDB cannot open is left out. What is too much (`aim_files` has the bounds, `MOST_POINTS` and
    `MOST_BYTES` are for all runs together) is cut off.
    """
    if not (folder / ".aim" / "meta" / "chunks").is_dir():
        return []
    runs: list[AimRun] = []
    left = MOST_POINTS
    with suppress(ValueError, KeyError, TypeError, RecursionError):  # a line that was cut off: the reader is no more
        for line in _told(folder):
            run = _run_of(json.loads(line))
            for one in run.sequences:
                one.points = one.points[:left]
                left -= len(one.points)
            runs.append(run)
    return runs


def _told(folder: Path) -> Iterator[bytes]:
    """What the reader's process says, a run on each line, to its end or ours."""
    # The interpreter of a function finds its own library by LD_LIBRARY_PATH.
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    environment = {
        **kept,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "LANG": "C.UTF-8",
        # The C library sets 64 or 128 MB of addresses apart for each thread, and addresses are what is limited.
        "MALLOC_ARENA_MAX": "1",
    }
    reader = subprocess.Popen(
        [sys.executable, *_READER, str(folder.resolve())],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert reader.stdout is not None
    timer = Timer(READING_SECONDS, reader.kill)
    timer.start()
    left = MOST_BYTES
    try:
        while left > 0 and (line := reader.stdout.readline(left)):
            left -= len(line)
            yield line
    finally:
        timer.cancel()
        reader.kill()
        reader.wait()
        reader.stdout.close()


def to_line(run: AimRun) -> bytes:
    """A run as `read_aim` is told of it."""
    sequences: list[dict[str, Any]] = [
        {
            "name": one.name,
            "context": one.context,
            "kind": one.kind,
            "points": one.points,
            "items": [_item_line(item) for item in one.items],
        }
        for one in run.sequences
    ]
    return json.dumps({"hash": run.hash, "parameters": run.parameters, "sequences": sequences}).encode() + b"\n"


def _item_line(item: AimItem) -> list[Any]:
    return [item.step, item.index, _coded(item.data), item.about]


def _coded(data: bytes | str | None) -> Any:
    return [base64.b64encode(data).decode()] if isinstance(data, bytes) else data


def _decoded(data: Any) -> bytes | str | None:
    return base64.b64decode(data[0]) if isinstance(data, list) else data


def _run_of(told: dict[str, Any]) -> AimRun:
    run = AimRun(told["hash"], told["parameters"])
    for one in told["sequences"]:
        items = [AimItem(step, index, _decoded(data), about) for step, index, data, about in one["items"]]
        points = [Point(*point) for point in one["points"]]
        run.sequences.append(AimSequence(one["name"], one["context"], one["kind"], points, items))
    return run


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
