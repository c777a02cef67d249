"""A log of 10 million lines: the memory that its index takes beside that of 1 million, and how a page of it is read.

`make bench ONLY=long_log`

And a live one: how long after it was printed a line is read, and what one viewer and twenty ask the bucket for.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.bench.bench_logs import RUN, FolderObjects, write_log
from tests.bench.report import report
from trainyard.logs.index import index_run
from trainyard.logs.live import load_index, read_lines
from trainyard.logs.viewers import shared_page
from trainyard.runner.shipping import LogShipper
from trainyard.store.objects import StoredObject

LINES = 10_000_000
PAGES = 50
PAGE_LINES = 200
LIVE_SECONDS = 10
VIEWERS = 20
POLL_SECONDS = 1 / 3
"""What a page waits while lines come; a second while none do."""


class Counted(FolderObjects):
    """Counts what is asked for, and how many bytes of a range came."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.calls: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        self.calls["get"] += 1
        return super().get(key)

    def get_range(self, key: str, start: int, end: int) -> bytes:
        self.calls["range"] += 1
        self.calls["range bytes"] += end - start
        with (self._folder / key).open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def find(self, prefix: str, start_after: str | None = None, limit: int | None = None) -> Iterator[StoredObject]:
        self.calls["list"] += 1
        return super().find(prefix, start_after, limit)

    def folders(self, prefix: str) -> list[str]:
        self.calls["list"] += 1
        return super().folders(prefix)


def main(arguments: list[str]) -> None:
    if arguments:
        _index(Path(arguments[0]))
        return
    with tempfile.TemporaryDirectory() as name:
        memory = {}
        for count in (LINES // 10, LINES):
            folder = Path(name) / str(count)
            folder.mkdir()
            write_log(folder, FolderObjects(folder), count)
            (folder / "log").unlink()
            # In a process of its own, so that one's memory is not the other's.
            ran = subprocess.run(
                [sys.executable, "-m", "tests.bench.bench_long_log", str(folder)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            seconds, memory[count] = map(float, ran.stdout.split())
        report("long_log.lines", LINES, "lines")
        report("long_log.index.lines_per_second", LINES / seconds, "lines/s")
        report("long_log.index.memory", memory[LINES], "MB")
        report("long_log.index.memory_of_a_tenth", memory[LINES // 10], "MB")
        _read_pages(Counted(folder))
    with tempfile.TemporaryDirectory() as name:
        _watch(Path(name))


def _index(folder: Path) -> None:
    started = time.perf_counter()
    index_run(FolderObjects(folder), RUN)  # type: ignore[arg-type]
    seconds = time.perf_counter() - started
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _read_pages(objects: Counted) -> None:
    chance, took = Random(1), []
    for _ in range(PAGES):
        first = chance.randrange(LINES - PAGE_LINES)
        started = time.perf_counter()
        page = read_lines(objects, RUN, first, PAGE_LINES)  # type: ignore[arg-type]
        took.append(time.perf_counter() - started)
        assert page.text.count("\n") == PAGE_LINES
    index = load_index(objects, RUN)  # type: ignore[arg-type]
    assert index is not None
    report("long_log.page.ranged_reads", objects.calls["range"] / PAGES, "reads")
    report("long_log.page.bytes_read", objects.calls["range bytes"] / PAGES / 1e3, "kB")
    report("long_log.page.median", statistics.median(took) * 1e3, "ms")
    report("long_log.index.size", len(index.to_json()) / 1e3, "kB")


def _watch(folder: Path) -> None:
    """A script prints ten lines a second; viewers look as pages do, each at its own moment."""
    objects, delays = Counted(folder), []
    calls: dict[int, int] = {}
    for viewers in (1, VIEWERS):
        run = f"{RUN[:-2]}{viewers:02d}"
        shipper = LogShipper(objects, run, 1, folder / "spool")  # type: ignore[arg-type]
        objects.calls.clear()
        offsets = [0] * viewers
        began = time.monotonic()
        due = sorted(
            [(number / 10, -1) for number in range(LIVE_SECONDS * 10)]
            + [
                ((look + viewer / viewers) * POLL_SECONDS, viewer)
                for look in range(int((LIVE_SECONDS + 2) / POLL_SECONDS))
                for viewer in range(viewers)
            ]
        )
        for at, viewer in due:
            time.sleep(max(0.0, began + at - time.monotonic()))
            if viewer < 0:
                shipper.write(b"%.6f\n" % time.monotonic())
                continue
            page = shared_page(objects, run, offsets[viewer], 65536)  # type: ignore[arg-type]
            offsets[viewer] = page.next_offset
            now = time.monotonic()
            delays += [now - float(line) for line in page.text.splitlines()]
        shipper.close(10)
        calls[viewers] = sum(objects.calls[kind] for kind in ("get", "list", "range"))
    report("live_log.line_readable_after.median", statistics.median(delays), "s")
    report("live_log.line_readable_after.most", max(delays), "s")
    for viewers, made in calls.items():
        report(f"live_log.bucket_calls_per_second.viewers_{viewers}", made / (LIVE_SECONDS + 2), "calls/s")


if __name__ == "__main__":
    main(sys.argv[1:])
