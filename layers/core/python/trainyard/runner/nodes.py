"""The machines of one training hear of each other by small objects in the bucket, their signs.

The main machine ends last: where it ends, the backend ends all the others. And it alone is tried again when it fails,
so it has to notice where another one's host is lost: its own script, which was talking to that one, fails or waits for
ever.
"""

from __future__ import annotations

import threading
import time
import traceback

from trainyard.model.result import AttemptResult, Ending
from trainyard.runner.job import Job
from trainyard.runner.stop import Stop
from trainyard.store import layout
from trainyard.store.layout import NodeSign
from trainyard.store.objects import ObjectMissingError, Objects

# For what they still have to store; the backend's own limit lies ten minutes behind the script's.
WAIT_SECONDS = 240.0
BEAT_SECONDS = 10.0
# A machine from which nothing is heard for this long is lost: its runner beats whatever its script does.
SILENT_SECONDS = 90.0
_LOOK_SECONDS = 1.0


class Beating:
    """A context manager for a machine that is not the main one: inside it a thread says that it is there."""

    def __init__(self, objects: Objects, job: Job) -> None:
        self._objects, self._job = objects, job
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    def __enter__(self) -> None:
        if self._job.node:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._job.node:
            self._thread.join()

    def _run(self) -> None:
        beat = 0
        while True:
            try:
                _put_sign(self._objects, self._job, NodeSign.ALIVE, str(beat))
            except Exception:  # noqa: BLE001 - the bucket or the network; the next one may arrive
                traceback.print_exc()
            beat += 1
            if self._over.wait(BEAT_SECONDS):
                return


def say_end(objects: Objects, job: Job, ending: Ending) -> None:
    """That the machine's result is stored, or that its host is about to go: nobody stops this one alone."""
    if job.node:
        _put_sign(objects, job, NodeSign.LOST if ending is Ending.STOPPED else NodeSign.ENDED, ending)


def _put_sign(objects: Objects, job: Job, sign: NodeSign, content: str) -> None:
    objects.put(layout.node_sign_key(job.run_id, job.attempt, job.node, sign), content.encode(), "text/plain")


class Others:
    """What the main machine knows of the others."""

    def __init__(self, objects: Objects, job: Job) -> None:
        self._objects, self._job = objects, job
        self._beats: dict[int, tuple[str, float]] = {}
        self._ended: set[int] = set()
        self.lost: int | None = None
        """A machine that is gone; stays once it is known."""

    @property
    def there(self) -> bool:
        """Whether this is the main machine of several."""
        return self._job.nodes > 1 and self._job.node == 0

    def look(self) -> None:
        """Once. Where the bucket does not answer, the others' silence means nothing."""
        prefix = layout.node_signs_prefix(self._job.run_id, self._job.attempt)
        try:
            signs = [(layout.node_sign_of(each.key), each.etag) for each in self._objects.find(prefix)]
        except Exception:
            self._beats.clear()
            raise
        now = time.monotonic()
        for (node, sign), etag in signs:
            if sign is NodeSign.LOST:
                self.lost = node
            elif sign is NodeSign.ENDED:
                self._ended.add(node)
            elif node not in self._beats or self._beats[node][0] != etag:
                self._beats[node] = etag, now
        for node, (_, heard_at) in self._beats.items():
            if node not in self._ended and now - heard_at > SILENT_SECONDS:
                self.lost = node

    def find_lost(self, stop: Stop) -> None:
        """The script here has failed: before that counts, look whether one is lost.

        Whoever says anything after that moment is not. Those from which nothing was ever heard are not waited for.
        """
        before: dict[int, str] | None = None
        deadline = time.monotonic() + SILENT_SECONDS + 3 * BEAT_SECONDS
        while self.lost is None and not stop.requested and time.monotonic() < deadline:
            try:
                self.look()
            except Exception:  # noqa: BLE001 - looked at again
                traceback.print_exc()
            else:
                heard = {node: etag for node, (etag, _) in self._beats.items() if node not in self._ended}
                before = heard if before is None else before
                if not any(before.get(node) == etag for node, etag in heard.items()):
                    break
            time.sleep(_LOOK_SECONDS)

    def await_results(self, stop: Stop) -> dict[int, AttemptResult]:
        """What the other machines came to, by their index.

        Returns when all have ended, one has failed or is lost; without those that say nothing within that time, or
        until a stop.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        results: dict[int, AttemptResult] = {}
        while True:
            self.look()
            for node in range(1, self._job.nodes):
                result = results.get(node) or self._result(node)
                if result is not None:
                    results[node] = result
                if result is not None and result.ending is Ending.STOPPED:
                    self.lost = node
            failed = any(result.ending is not Ending.SUCCEEDED for result in results.values())
            all_ended = len(results) == self._job.nodes - 1
            if failed or all_ended or self.lost is not None or stop.requested or time.monotonic() > deadline:
                return results
            time.sleep(_LOOK_SECONDS)

    def _result(self, node: int) -> AttemptResult | None:
        try:
            key = layout.result_key(layout.node_id(self._job.run_id, node), self._job.attempt)
            return AttemptResult.model_validate_json(self._objects.get(key))
        except ObjectMissingError:
            return None


class Watching:
    """A context manager of the main machine: inside it a thread looks for the others, and stops where one is lost."""

    def __init__(self, others: Others, stop: Stop) -> None:
        self._others, self._stop = others, stop
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="others", daemon=True)

    def __enter__(self) -> None:
        if self._others.there:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._others.there:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._others.look()
            except Exception:  # noqa: BLE001 - the bucket or the network; it looks again
                traceback.print_exc()
            if self._others.lost is not None:
                self._stop.request()
                return
