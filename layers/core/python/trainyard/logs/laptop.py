"""Any log or metrics file on a disk, with the readers that runs are read with."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path

from trainyard.logs.metrics import MetricScanner
from trainyard.logs.readers.aim import aim_metrics, read_aim
from trainyard.logs.readers.files import HEAD_BYTES, reader_of
from trainyard.logs.recorder import POINTS_KEPT, Recorder
from trainyard.logs.series import Sink
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.metric import Metrics, merged
from trainyard.model.text import Text

_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
_MOST_FILES = 200


def read_file(path: Path, points_kept: int | None = POINTS_KEPT) -> Metrics:
    """The metrics in a log (also compressed), a metrics file of a known kind, all those of a folder; an Aim repository.

    Args:
        points_kept: downsample series that are longer. None: every point.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it cannot be read.
    """
    if not path.exists():
        raise NotFound(Text(en=f"There is no file {path}.", zh=f"没有文件 {path}。"))
    try:
        if (path / ".aim").is_dir():
            return aim_metrics(read_aim(path), points_kept)
        if path.is_dir():
            return merged(Metrics(), read_folder(path, points_kept))
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if path.suffix == ".json" and b'"groups"' in head:
            return Metrics.from_json(path.read_bytes())
        return read_metrics_file(path, path.name, points_kept) or _read_log(path, head, points_kept)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InvalidInput(
            Text(
                en=f"{path} cannot be read ({error}). Give a log or a metrics file.",
                zh=f"无法读取 {path}（{error}）。请指定日志或指标文件。",
            )
        ) from error


def read_folder(folder: Path, points_kept: int | None = POINTS_KEPT) -> dict[str, Metrics]:
    """The metrics of every metrics file below `folder`, by its path in it; of the first 200 if there are more."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found: dict[str, Metrics] = {}
    for path in files:
        name = path.relative_to(folder).as_posix()
        metrics = read_metrics_file(path, name, points_kept)
        if metrics is not None and metrics.groups:
            found[name] = metrics
        if len(found) >= _MOST_FILES:
            break
    return found


def read_metrics_file(
    path: Path, name: str, points_kept: int | None = POINTS_KEPT, sink: Sink | None = None
) -> Metrics | None:
    """The metrics of a file that is called `name`; None where it is of no known kind. `sink`: see `Recorder`."""
    with path.open("rb") as file:
        reader = reader_of(name, file.read(HEAD_BYTES))
    if reader is None:
        return None
    recorder = Recorder(points_kept, sink)
    for row in reader.rows(path):
        recorder.add(row, reader.name)
    return recorder.metrics()


def _read_log(path: Path, head: bytes, points_kept: int | None) -> Metrics:
    scanner = MetricScanner(points_kept)
    for piece in _pieces(path, compressed=head.startswith(_GZIP)):
        scanner.feed(piece)
    return scanner.finish()


def _pieces(path: Path, *, compressed: bool) -> Iterable[bytes]:
    with gzip.open(path) if compressed else path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
