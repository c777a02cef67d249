"""The last lines of what was printed, for the reason of a failure."""

from __future__ import annotations

import re

_KEPT_BYTES = 1 << 16
_LINES = 20
_LINE_CHARACTERS = 500
_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Tail:
    """Keeps the end of a stream of bytes."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, data: bytes) -> None:
        self._kept = (self._kept + data)[-_KEPT_BYTES:]

    def lines(self) -> list[str]:
        """The last lines that are not empty, as a terminal would show them: a progress bar in its last state."""
        text = self._kept.decode("utf-8", errors="replace").replace("\r\n", "\n")
        shown = (_as_shown(line) for line in text.split("\n"))
        return [line for line in shown if line][-_LINES:]


def _as_shown(line: str) -> str:
    last_state = line.rstrip("\r").rsplit("\r", 1)[-1]
    return _CONTROL.sub("", _ESCAPE.sub("", last_state)).rstrip()[:_LINE_CHARACTERS]
