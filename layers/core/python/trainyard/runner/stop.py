"""The wish to stop, as SIGTERM brings it."""

from __future__ import annotations

import signal
from types import FrameType

from trainyard.runner.errors import StopRequestedError


class Stop:
    """A flag that a signal handler may set.

    A plain attribute on purpose: a handler that took an Event's lock could wait for the very thread it interrupted.
    """

    def __init__(self, wider: Stop | None = None) -> None:
        """`wider`: whose stop is also this one's, but not the other way round."""
        self._wider = wider
        self._requested = False

    @property
    def requested(self) -> bool:
        return self._requested or (self._wider is not None and self._wider.requested)

    def request(self) -> None:
        self._requested = True

    def check(self) -> None:
        """StopRequestedError if a stop was asked for."""
        if self.requested:
            raise StopRequestedError

    def listen(self) -> None:
        """Set on SIGTERM and SIGINT from now on, however often they come."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.request()
