"""The state in one JSON file, always whole: written beside and moved over, by one thread for all changes so far."""

import json
import logging
import os
import threading
from pathlib import Path

from infra.local.batch.records import State

log = logging.getLogger(__name__)

VERSION = 1


def load(path: Path | None) -> State:
    """The state saved at `path`, or an empty one. Raises ValueError when the file holds something else."""
    if path is None or not path.exists():
        return State()
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return State.from_json(saved[f"version {VERSION}"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a state file of this Batch server ({error}): move it away to start empty"
        ) from error


class Saver:
    """Saves `state`, guarded by `lock`, soon after `changed()`; `flush()` waits until what changed so far is saved."""

    def __init__(self, path: Path | None, state: State, lock: threading.Condition) -> None:
        self._path = path
        self._state = state
        self._lock = lock
        self._wanted = 0
        self._saved = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="batch-state", daemon=True)

    def start(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._thread.start()

    def changed(self) -> None:
        """Call with the lock held."""
        self._wanted += 1
        self._lock.notify_all()

    def flush(self, patience: float = 10.0) -> None:
        """Call without the lock. Raises TimeoutError when the file can't be written for `patience` seconds."""
        if self._path is None:
            return
        with self._lock:
            wanted = self._wanted
            if not self._lock.wait_for(lambda: self._saved >= wanted, timeout=patience):
                raise TimeoutError(f"{self._path} could not be written")

    def stop(self) -> None:
        """Save what is left and end the thread."""
        if self._path is None:
            return
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self._thread.join(10.0)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._wanted > self._saved or self._stopping)
                if self._wanted == self._saved:
                    return
                number = self._wanted
                text = json.dumps({f"version {VERSION}": self._state.to_json()})
            written = self._write(text)
            with self._lock:
                if written:
                    self._saved = number
                    self._lock.notify_all()
                elif self._stopping:
                    return
                else:
                    self._lock.wait(timeout=1.0)

    def _write(self, text: str) -> bool:
        assert self._path is not None
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, self._path)  # noqa: PTH105  the name of the call that is atomic
        except OSError:
            log.exception("state not saved")
            return False
        return True
