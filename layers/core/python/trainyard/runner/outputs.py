"""What the script leaves becomes objects: what has changed while it runs, all of it at the end.

The bucket mirrors the folder. An object is one file at one moment: it is only written if the file was left alone for a
while before and did not change while it was read, so a checkpoint is there whole or not at all, whether the script
writes it in place or renames it into its place.
"""

from __future__ import annotations

import hashlib
import os
import threading
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trainyard.model.result import OutputFile
from trainyard.model.text import Text
from trainyard.runner.stop import Stop
from trainyard.runner.tree import Entry, make_accessible, open_file, walk
from trainyard.store.objects import Objects

MAX_FILES = 100_000
_PARALLEL = 4
_SHOWN = 5
_READ_BYTES = 1 << 20
# A file that did not change for this long is taken to be whole.
SETTLE_SECONDS = 1.0

_Signature = tuple[int, int, int]


class ChangedError(Exception):
    """The file changed while it was read; nothing of it was stored."""


class Output:
    """One folder and the prefix that mirrors it."""

    def __init__(self, objects: Objects, folder: Path, prefix: str) -> None:
        self._objects, self._folder, self._prefix = objects, folder, prefix
        self._stored: dict[str, tuple[_Signature, OutputFile]] = {}

    def restore(self, stop: Stop) -> list[OutputFile]:
        """Bring into the empty folder what an earlier attempt stored, in the order in which it was stored."""
        entries = sorted(self._objects.find(self._prefix), key=lambda entry: entry.modified)
        for entry in entries:
            stop.check()
            name = entry.key.removeprefix(self._prefix)
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with target.open("wb") as file:
                for piece in self._objects.stream(entry.key):
                    stop.check()
                    digest.update(piece)
                    file.write(piece)
            at = entry.modified.timestamp()
            os.utime(target, (at, at))
            self._keep(name, target.stat(), digest.hexdigest())
        return [file for _, file in self._stored.values()]

    def sync(self, settled: Callable[[], bool]) -> int:
        """Store what is new and whole, while the script runs; returns the bytes stored.

        `settled`: waits a moment; False if there is no time for it any more, and nothing is done then.
        """
        before = self._look()
        if not any(self._is_new(path, seen) for path, seen in before.items()) and before.keys() >= self._stored.keys():
            return 0
        if not settled():
            return 0
        now = self._look()
        new = [path for path, seen in now.items() if self._is_new(path, seen)]
        whole = [path for path in new if before.get(path) == now[path]]
        stored = self._store_each(whole)
        if len(stored) == len(new):
            # Not before what is new has arrived: a script removes an old checkpoint when it has written the next one.
            self._forget(now.keys())
        return sum(file.size for file in stored)

    def finish(self, say: Callable[[Text], None]) -> list[OutputFile]:
        """Store the rest; the script has ended. Returns all files in the order of their paths. Raises if one fails.

        Links, sockets and devices stay behind, as do names that are not text: the log says which.
        """
        make_accessible(self._folder)
        entries = list(walk(self._folder))
        files = [entry for entry in entries if _is_uploadable(entry)][:MAX_FILES]
        if len(files) < len(entries):
            say(_left_behind(sorted({entry.path for entry in entries} - {entry.path for entry in files})))
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="upload") as pool:
            new = [each.path for each in files if self._is_new(each.path, _signature(each.status))]
            list(pool.map(self._store, new))
        self._forget({each.path for each in files})
        return [self._stored[each.path][1] for each in files]

    def _look(self) -> dict[str, _Signature]:
        return {each.path: _signature(each.status) for each in walk(self._folder) if _is_uploadable(each)}

    def _is_new(self, path: str, seen: _Signature) -> bool:
        return path not in self._stored or self._stored[path][0] != seen

    def _store_each(self, paths: list[str]) -> list[OutputFile]:
        """Store as many as can be stored; the others have their turn at the next time."""

        def attempt(path: str) -> OutputFile | None:
            try:
                return self._store(path)
            except (OSError, ChangedError):  # it vanished, or is being written again
                return None

        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="checkpoint") as pool:
            return [stored for stored in pool.map(attempt, paths[:MAX_FILES]) if stored is not None]

    def _store(self, path: str) -> OutputFile:
        with os.fdopen(open_file(self._folder, path), "rb", buffering=0) as content:
            status = os.fstat(content.fileno())
            digest = hashlib.sha256()
            # Nothing appears in the bucket if the block is left by an error.
            with self._objects.writer(self._prefix + path, size=status.st_size) as target:
                while piece := content.read(_READ_BYTES):
                    digest.update(piece)
                    target.write(piece)
                if _signature(os.fstat(content.fileno())) != _signature(status):
                    raise ChangedError(path)
        return self._keep(path, status, digest.hexdigest())

    def _keep(self, path: str, status: os.stat_result, sha256: str) -> OutputFile:
        file = OutputFile(path=path, size=status.st_size, sha256=sha256)
        self._stored[path] = (_signature(status), file)
        return file

    def _forget(self, there: Collection[str]) -> None:
        """Remove the objects of files that are not among those that are there any more."""
        gone = [path for path in self._stored if path not in there]
        self._objects.delete([self._prefix + path for path in gone])
        for path in gone:
            del self._stored[path]


class Syncing:
    """A context manager: inside it a thread keeps the bucket like the folder, `every` so many seconds."""

    def __init__(self, output: Output, every: float) -> None:
        self._output, self._every = output, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # An upload that is under way is one that need not be made again.
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._output.sync(lambda: not self._over.wait(SETTLE_SECONDS))
            except Exception:  # noqa: BLE001 - the bucket or the network; the next round or the end stores it
                traceback.print_exc()


def _signature(status: os.stat_result) -> _Signature:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _is_uploadable(entry: Entry) -> bool:
    return entry.is_file and entry.path.isprintable() and len(os.fsencode(entry.path)) <= 700


def _left_behind(left: list[str]) -> Text:
    names = ", ".join(repr(path) for path in left[:_SHOWN]) + (", ..." if len(left) > _SHOWN else "")
    return Text(
        en=f"not kept, because only regular files with printable names are: {names} ({len(left)} in all)",
        zh=f"以下内容未保存（只保存名称可打印的普通文件）：{names}，共 {len(left)} 个",
    )
