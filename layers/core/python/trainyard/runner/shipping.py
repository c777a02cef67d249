"""The attempt's log on its way to the bucket, in small chunks while the script runs.

Everything is first written to a spool file, so a bucket that cannot be reached neither blocks the script nor loses a
line, and memory stays small. Where the disk is full, the log's end, which says so, is held in memory. One thread sends
what there is; an object's name is the offset of its first byte.
"""

from __future__ import annotations

import errno
import gzip
import threading
import time
from pathlib import Path

from trainyard.model.text import Text
from trainyard.store import layout
from trainyard.store.objects import Objects

CHUNK_BYTES = 1 << 20
# A line is readable this long after the last one was sent, plus the upload itself.
INTERVAL_SECONDS = 1.0
# Beyond this a script is not logging but filling the disk.
MAX_LOG_BYTES = 8 << 30
# What a script still says on a full disk before it is ended. With more to send, nothing else would ever be read.
MAX_HELD_BYTES = 16 << 20
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0


class LogShipper:
    """Takes bytes from any thread. `close` sends the rest."""

    def __init__(
        self, objects: Objects, run_id: str, attempt: int, spool: Path, max_bytes: int = MAX_LOG_BYTES
    ) -> None:
        self._objects, self._run_id, self._attempt = objects, run_id, attempt
        self._max_bytes = max_bytes
        # Without a buffer, a full disk is known at the write that did not fit.
        self._spool = spool.open("w+b", buffering=0)
        self._base = 0  # offset in the log of the spool's first byte
        self._spooled = 0  # and of what comes behind its last
        self._held = bytearray()  # what comes behind the spool
        self._sent = 0
        self._written = 0
        self._at_line_start = True
        self._full = False
        self._closing = False
        self._give_up_at: float | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._ship, name="log", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """Bytes of the log so far."""
        with self._changed:
            return self._written

    def write(self, data: bytes) -> None:
        """Append what the script printed."""
        with self._changed:
            if self._full or not data:
                return
            room = self._max_bytes - self._written
            self._append(data[:room])
            if len(data) > room:
                self._end_with(
                    Text(
                        en=f"the log is longer than {self._max_bytes} bytes; the rest is not kept",
                        zh=f"日志超过 {self._max_bytes} 字节，其余部分不再保存",
                    )
                )
            elif len(self._held) > MAX_HELD_BYTES:
                self._end_with(
                    Text(en="the disk is full; the rest of the log is not kept", zh="磁盘已满，其余日志不再保存")
                )
            self._changed.notify()

    def say(self, text: Text) -> None:
        """Append a line of the runner's own."""
        with self._changed:
            self._append_line(text)
            self._changed.notify()

    def close(self, seconds: float) -> bool:
        """Send the rest, for `seconds` at most while the bucket fails. True if all of it arrived."""
        with self._changed:
            self._closing = True
            self._give_up_at = time.monotonic() + seconds
            self._changed.notify()
        self._thread.join(seconds + _LONGEST_PAUSE)
        with self._changed:
            arrived = self._sent == self._written
            if not self._thread.is_alive():
                self._spool.close()
        return arrived

    def _end_with(self, text: Text) -> None:
        """Nothing more of the script's is kept."""
        self._full = True
        self._append_line(text)

    def _append_line(self, text: Text) -> None:
        start = "" if self._at_line_start else "\n"
        self._append(f"{start}[trainyard] {text}\n".encode())

    def _append(self, data: bytes) -> None:
        if data:
            fits = 0 if self._held else self._spool_some(data)
            self._held += data[fits:]
            self._written += len(data)
            self._at_line_start = data.endswith(b"\n")

    def _spool_some(self, data: bytes) -> int:
        """Write as much as there is room for on the disk, and return how many bytes that was."""
        self._spool.seek(self._spooled - self._base)
        fits = 0
        try:
            while fits < len(data):
                fits += self._spool.write(data[fits:])
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        self._spooled += fits
        return fits

    def _ship(self) -> None:
        sent_at = -INTERVAL_SECONDS
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._written > self._sent or self._closing)
                # One object a second at most, unless there is a full one to send or nothing more to wait for.
                pause = max(0.0, sent_at + INTERVAL_SECONDS - time.monotonic())
                self._changed.wait_for(lambda: self._closing or self._written - self._sent >= CHUNK_BYTES, pause)
                chunk = self._next_chunk()
            if not chunk:
                return
            sent_at = time.monotonic()
            if not self._put(chunk):
                return
            with self._changed:
                self._sent += len(chunk)
                self._drop_sent()

    def _next_chunk(self) -> bytes:
        if self._sent >= self._spooled:
            begin = self._sent - self._spooled
            return bytes(self._held[begin : begin + CHUNK_BYTES])
        self._spool.seek(self._sent - self._base)
        return self._spool.read(min(CHUNK_BYTES, self._spooled - self._sent))

    def _drop_sent(self) -> None:
        """Give the disk back what is not needed any more, whenever all has been sent."""
        if self._sent == self._written:
            self._spool.truncate(0)
            self._held.clear()
            self._base = self._spooled = self._written

    def _put(self, chunk: bytes) -> bool:
        """The same bytes under the same name until they have arrived; False if it was given up."""
        key = layout.log_chunk_key(self._run_id, self._attempt, self._sent)
        member = gzip.compress(chunk, 6, mtime=0)
        pause = _FIRST_PAUSE
        while True:
            try:
                self._objects.put(key, member, "application/gzip")
            except Exception:  # noqa: BLE001 - whatever the network or the bucket says, the script must not suffer
                with self._changed:
                    self._changed.wait_for(lambda: self._give_up_at is not None, pause)
                    if self._give_up_at is not None and time.monotonic() >= self._give_up_at:
                        return False
                if self._closing:
                    time.sleep(_FIRST_PAUSE)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return True
