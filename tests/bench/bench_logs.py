"""How fast a log is indexed: 1 million lines of which 40 % carry metrics, decompression, index and log.gz included.

`make bench ONLY=logs`

Prints one JSON object for each figure, the best of three; ratios of processor time (`cpu_times_of_grep`) say the same on a
machine that has other things to do. `grep -cE` runs over the same bytes in between, as a measure
of the machine, with three patterns: `literal` has one word that every hit must contain, so grep hardly looks at anything
else; `forms` are the two forms of the metrics that this log does hold; `selection` is what our readers look for to begin
with, the beginnings of all their forms. In the C locale, where grep is fastest, and `selection` in UTF-8, too.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.bench.report import report
from trainyard.logs.index import index_run
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError, StoredObject

RUN = "run-0123456789abcdefghjkmn"
LINES = 1_000_000
CHUNK_LINES = 4000
TIMES = 3

LITERAL = r"loss(:\[| is )"
FORMS = (
    r"epoch: *[0-9]+,? step: *[0-9]+, loss is"
    r"|Epoch:\[ *[0-9]+/ *[0-9]+\], step:\[ *[0-9]+/ *[0-9]+\], loss:\["
)
# Readers look in the same bytes for names and numbers behind each of these; here it is enough that they are there.
SELECTION = "|".join(
    (
        FORMS,
        r"poch time: *[-+.a-zA-Z0-9_]+ ms, per step time:",
        r"Eval result: epoch [0-9]+",
        r"\], Train Loss: \[",
        r"End of validation the best",
        r"\], batch: \[ *[0-9]+",
        r"^Epoch [0-9]+/[0-9]+",
        r"^ *[0-9]+/[0-9]+ .* - ",
        r"\{'.*'epoch': ",
        r"^Epoch [0-9]+: *[0-9]+%\|",
        r"it/s",
        r"^ *Epoch +GPU_mem",
        r": *[0-9]{3}%",
        r"^ *Class +Images",
        r"^ +all +[0-9]",
        r"^\{\"",
        r"[A-Za-z_)\"' ][:=] {0,4}\[?([A-Za-z][A-Za-z0-9_.]{0,20}\()?[-+]?([0-9.]|[nN][aA][nN]|[iI][nN][fF])",
    )
)
GREPS = {
    "literal": (LITERAL, "C"),
    "forms": (FORMS, "C"),
    "selection": (SELECTION, "C"),
    "selection_utf8": (SELECTION, "C.UTF-8"),
}


class Took(NamedTuple):
    seconds: float
    cpu: float
    """Seconds of all its threads."""


class FolderObjects:
    """The part of `Objects` that indexing uses, on files: the bucket's own time is not measured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bucket = str(folder)

    def put(self, key: str, data: bytes, content_type: str = "") -> bool:
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True

    def get(self, key: str) -> bytes:
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            raise ObjectMissingError(key) from None

    def find(self, prefix: str, start_after: str | None = None, limit: int | None = None) -> Iterator[StoredObject]:
        keys = sorted(str(path.relative_to(self._folder)) for path in (self._folder / prefix).rglob("*.gz"))
        for key in [key for key in keys if key > (start_after or "")][:limit]:
            yield StoredObject(key, (self._folder / key).stat().st_size, datetime.now(UTC))

    def folders(self, prefix: str) -> list[str]:
        return sorted(path.name for path in (self._folder / prefix).glob("*/"))

    def writer(self, key: str, content_type: str = "") -> object:
        return (self._folder / key).open("wb")


def log_lines(count: int) -> Iterator[bytes]:
    """A fifth mindvision's steps, a fifth MindSpore's, the rest what else a script prints."""
    steps = 1000
    for number in range(count):
        kind, epoch, step = number % 5, number // (5 * steps), number // 5 % steps + 1
        if kind == 0:
            yield b"Epoch:[%3d/999], step:[%5d/ 1000], loss:[%.3f/%.3f], time:%.3f ms, lr:0.01000\n" % (
                epoch, step, 1 / step, 2 / step, 11 + step % 7)  # fmt: skip
        elif kind == 2:
            yield b"epoch: %d step: %d, loss is %.7f\n" % (epoch + 1, step, 1 / step)
        else:
            yield b"[INFO] 2026-01-01 12:00:%02d worker %d: batch of 32 images read from shard %d\n" % (
                step % 60, kind, number)  # fmt: skip


def write_log(folder: Path, objects: FolderObjects, count: int) -> int:
    """The log as one file for grep and in chunks as a runner ships it; returns its bytes."""
    size, lines = 0, log_lines(count)
    with (folder / "log").open("wb") as file:
        while block := b"".join(islice(lines, CHUNK_LINES)):
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            objects.put(layout.log_chunk_key(RUN, 1, size), packer.compress(block) + packer.flush())
            size += file.write(block)
    return size


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = FolderObjects(folder)
        size = write_log(folder, objects, LINES)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took: dict[str, list[Took]] = defaultdict(list)
        for _ in range(TIMES):
            took["index"].append(_index(objects))
            for grep, (pattern, locale) in GREPS.items():
                took[grep].append(_grep(folder / "log", pattern, locale))
        added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    best = {name: Took(*map(min, zip(*times, strict=True))) for name, times in took.items()}
    index = best["index"]
    report("log.lines", LINES, "lines")
    report("log.size", size / 1e6, "MB")
    report("index_run.lines_per_second", LINES / index.seconds, "lines/s")
    report("index_run.cpu", index.cpu, "s")
    for grep in GREPS:
        report(f"grep.{grep}.lines_per_second", LINES / best[grep].seconds, "lines/s")
        report(f"index_run.times_of_grep.{grep}", index.seconds / best[grep].seconds, "x")
        report(f"index_run.cpu_times_of_grep.{grep}", index.cpu / best[grep].cpu, "x")
    report("index_run.memory_added", added, "MB")


def _index(objects: FolderObjects) -> Took:
    started, cpu = time.perf_counter(), time.process_time()
    summary = index_run(objects, RUN)  # type: ignore[arg-type]
    assert summary.lines == LINES
    return Took(time.perf_counter() - started, time.process_time() - cpu)


def _grep(path: Path, pattern: str, locale: str) -> Took:
    started, cpu = time.perf_counter(), _cpu_of_children()
    found = subprocess.run(
        ["grep", "-cE", pattern, str(path)], check=True, capture_output=True, env={**os.environ, "LC_ALL": locale}
    )
    # The same lines as the readers find metrics in: two fifths of all.
    assert int(found.stdout) == LINES * 2 // 5
    return Took(time.perf_counter() - started, _cpu_of_children() - cpu)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
