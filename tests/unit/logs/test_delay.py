"""A line is readable within 3 s of being printed, whoever reads it: the real shipper and the real reader on a clock
that only the test moves, so that nothing here depends on how busy the machine is."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard import web
from trainyard.cli.commands import logs as command
from trainyard.logs import viewers
from trainyard.logs.viewers import shared_page
from trainyard.runner import shipping
from trainyard.runner.shipping import LogShipper
from trainyard.store.objects import ObjectMissingError, Objects, StoredObject

RUN = "run-0123456789abcdefghjkmn"
READABLE_SECONDS = 3.0
# The ways to the bucket, out of it and to the reader; S3 answers in less than a tenth of a second.
WAYS_SECONDS = 0.5
PAGE = (Path(web.__file__).parent / "static" / "run.js").read_text()
PAGE_SECONDS = int(re.search(r"\bINTERVAL = (\d+)", PAGE)[1]) / 1000  # type: ignore[index]
SLOWEST_READER = max(PAGE_SECONDS, command._POLL_SECONDS)


def test_what_everybody_waits_for_at_most_is_within_the_promise():
    waits = shipping.INTERVAL_SECONDS + viewers.KEPT_SECONDS + SLOWEST_READER
    assert waits + WAYS_SECONDS <= READABLE_SECONDS


class Clock:
    """Moves only when somebody waits; what was planned for a moment happens when it comes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def plan(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (at, next(self._number), act))

    def step(self, until: float) -> bool:
        """To the next moment, `until` at most. False if nothing happened."""
        if not self._planned or self._planned[0][0] > until:
            self.now = max(self.now, until)
            return False
        at, _, act = heapq.heappop(self._planned)
        self.now = max(self.now, at)
        act()
        return True

    def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while self.step(until):
            pass


class Condition:
    """What the shipper waits with. There is one thread, so nobody is kept out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def wait_for(self, ready: Callable[[], bool], seconds: float = 1e9) -> None:
        until = self._clock.now + seconds
        while not ready() and self._clock.step(until):
            pass

    def notify(self) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Bucket(Objects):
    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__("artifacts")
        self._clock, self._seconds = clock, seconds
        self._stored: dict[str, bytes] = {}

    def put(self, key: str, data: bytes, *_: Any, **__: Any) -> bool:
        self._clock.pass_by(self._seconds)
        self._stored[key] = data
        return True

    def get(self, key: str) -> bytes:
        if key not in self._stored:
            raise ObjectMissingError(key)
        return self._stored[key]

    def find(self, prefix: str, start_after: str | None = None, limit: int | None = None) -> Iterator[StoredObject]:
        keys = sorted(key for key in self._stored if key.startswith(prefix) and key > (start_after or ""))
        return (StoredObject(key, len(self._stored[key]), datetime.now(UTC)) for key in keys[:limit])

    def folders(self, prefix: str) -> list[str]:
        return sorted({key.removeprefix(prefix).split("/")[0] for key in self._stored if key.startswith(prefix)})


class Viewer:
    """Asks again and again for what was printed behind what it has."""

    def __init__(self, clock: Clock, bucket: Bucket, first: float, every: float) -> None:
        self.read_at: list[float] = []
        self._clock, self._bucket, self._every, self._offset = clock, bucket, every, 0
        clock.plan(first, self._look)

    def _look(self) -> None:
        page = shared_page(self._bucket, RUN, self._offset, 1 << 20)
        self._offset = page.next_offset
        self.read_at += [self._clock.now] * page.text.count("\n")
        self._clock.plan(self._clock.now + self._every, self._look)


@given(
    pauses=st.lists(st.floats(0, 4), min_size=1, max_size=12),
    phases=st.lists(st.floats(0, 1), min_size=1, max_size=3),
    upload=st.floats(0, 0.25),
)
@settings(max_examples=60, deadline=None)
def test_every_line_is_read_in_time_by_everybody(pauses: list[float], phases: list[float], upload: float):
    clock = Clock()
    bucket = Bucket(clock, upload)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipping, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=clock.pass_by))
        patch.setattr(viewers, "time", SimpleNamespace(monotonic=lambda: clock.now))
        patch.setattr(
            shipping,
            "threading",
            SimpleNamespace(Condition=lambda: Condition(clock), Thread=lambda **_: SimpleNamespace(start=lambda: None)),
        )
        viewers.forget()
        shipper = LogShipper(bucket, RUN, 1, Path(folder) / "spool")
        printed: list[float] = []
        for number, pause in enumerate(pauses):
            printed.append((printed[-1] if printed else 0.0) + pause)
            clock.plan(printed[-1], lambda number=number: shipper.write(b"line %d\n" % number))
        readers = [Viewer(clock, bucket, phase, SLOWEST_READER) for phase in phases]
        clock.plan(printed[-1] + 10, lambda: setattr(shipper, "_closing", True))
        shipper._ship()
    for reader in readers:
        assert len(reader.read_at) == len(printed)
        delays = [read - told for read, told in zip(reader.read_at, printed, strict=True)]
        assert max(delays) <= READABLE_SECONDS
