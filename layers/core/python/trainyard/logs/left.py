"""What a run measured beside its log: metrics files among its outputs, and its Aim repository."""

from __future__ import annotations

import errno
from pathlib import Path
from tempfile import TemporaryDirectory

from trainyard.logs.aim_objects import store_aim_objects
from trainyard.logs.laptop import read_metrics_file
from trainyard.logs.readers.files import HEAD_BYTES, reader_of
from trainyard.logs.series import SeriesArchive
from trainyard.model.metric import Metrics
from trainyard.model.result import AttemptResult, Ending
from trainyard.store import layout
from trainyard.store.objects import Objects

_LARGEST_FILE = 128 << 20
_LARGEST_REPOSITORY = 400 << 20
_MOST_FILES = 200
_MOST_LOOKED_AT = 2000
"""Files that may be metrics by their names; the beginning of each has to be fetched to know."""
_MOST_BYTES = 512 << 20
"""Of all metrics files together; reading them takes minutes then."""
_MOST_SERIES = 20_000
"""Of all metrics files together."""
_MOST_REPOSITORY_FILES = 8000
_LONGEST_NAME = 200
"""Bytes; while a file is fetched its name is longer."""


def metrics_left(
    objects: Objects, run_id: str, series: SeriesArchive, result: AttemptResult | None
) -> dict[str, Metrics]:
    """What the run measured beside its log. `result`: what its last attempt said at its end, None where it did not."""
    # Only after a good end it is certain that the runner stored, and so lists, all that there is.
    listed = result if result is not None and result.ending is Ending.SUCCEEDED else None
    found: dict[str, Metrics] = {}
    if listed is None or listed.outputs:
        found |= _metrics_of_outputs(objects, run_id, series)
    if listed is None or listed.aim_files:
        found |= _metrics_of_aim(objects, run_id, series)
    return found


def _metrics_of_outputs(objects: Objects, run_id: str, series: SeriesArchive) -> dict[str, Metrics]:
    """What the metrics files among the run's outputs say; one too large to fetch is left out."""
    found: dict[str, Metrics] = {}
    prefix = layout.output_prefix(run_id)
    looked_at = read = begun = 0
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for entry in objects.find(prefix):
            name = entry.key.removeprefix(prefix)
            if entry.size > min(_LARGEST_FILE, _MOST_BYTES - read) or not _may_hold_metrics(name):
                continue
            if len(found) >= _MOST_FILES or looked_at >= _MOST_LOOKED_AT or begun >= _MOST_SERIES:
                break
            looked_at += 1
            if reader_of(name, objects.get_range(entry.key, 0, HEAD_BYTES)) is None:
                continue
            read += entry.size
            objects.get_file(entry.key, path)
            metrics = read_metrics_file(path, name, sink=series.sink(name))
            if metrics is not None and metrics.groups:
                begun += sum(len(group.series) for group in metrics.groups)
                found[name] = metrics
    return found


def _metrics_of_aim(objects: Objects, run_id: str, series: SeriesArchive) -> dict[str, Metrics]:
    """What the script tracked with Aim; nothing where it did not, or where that is too large to fetch.

    What is no metric is written down to be shown, see `logs.aim_objects`.
    """
    prefix = layout.aim_prefix(run_id)
    entries = [entry for entry in objects.find(prefix) if "/.aim/" in entry.key]
    is_too_large = sum(entry.size for entry in entries) > _LARGEST_REPOSITORY or len(entries) > _MOST_REPOSITORY_FILES
    if not entries or is_too_large:
        return {}
    from trainyard.logs.readers.aim import aim_metrics, read_aim

    with TemporaryDirectory() as folder:
        for entry in entries:
            path = Path(folder) / entry.key.removeprefix(prefix)
            if _is_possible(path, Path(folder)):
                objects.get_file(entry.key, path)
        runs = read_aim(Path(folder))
    metrics = aim_metrics(runs, sink=series.sink("aim"))
    store_aim_objects(objects, run_id, runs)
    return {"aim": metrics} if metrics.groups else {}


def _may_hold_metrics(name: str) -> bool:
    """Checkpoints and images are not even looked into."""
    return name.lower().endswith((".csv", ".jsonl", ".ndjson", ".json")) or "events" in name


def _is_possible(path: Path, folder: Path) -> bool:
    """Whether there can be such a file in the folder; makes the way to it. Objects may have names that files cannot."""
    if not path.resolve().is_relative_to(folder.resolve()) or len(path.name.encode()) > _LONGEST_NAME or path.is_dir():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST):
            raise
        return False
    return True
