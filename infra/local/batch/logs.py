"""Job output to CloudWatch Logs: what is written to an attempt's file also goes to its stream, a second or so later."""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

GROUP = "/aws/batch/job"
_MOST_READ = 512 * 1024  # bytes at a time, well within the 1 MiB of one PutLogEvents
_LONGEST_EVENT = 200 * 1024  # characters
_MOST_EVENTS = 5_000
_PAUSE_S = 1.0
_MOST_FAILURES = 5


@dataclass
class _Followed:
    path: Path
    position: int = 0
    ended: bool = False
    failures: int = 0
    made: bool = False


class LogShipper:
    """Ships the files it is told to follow, in one thread. A stream that fails five times in a row is given up."""

    def __init__(self, client: Any, group: str = GROUP) -> None:
        """client: boto3's `logs` client."""
        self._client = client
        self._group = group
        self._group_made = False
        self._streams: dict[str, _Followed] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="batch-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def follow(self, stream: str, path: Path) -> None:
        with self._changed:
            self._streams[stream] = _Followed(path)
            self._changed.notify_all()

    def finish(self, stream: str) -> None:
        """The file is complete: ship the rest and forget it. An unknown stream is fine."""
        with self._changed:
            if stream in self._streams:
                self._streams[stream].ended = True
                self._changed.notify_all()

    def stop(self, patience: float) -> None:
        """Ship what is there for at most `patience` seconds."""
        with self._changed:
            for each in self._streams.values():
                each.ended = True
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(patience)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._streams or self._stopping)
                if not self._streams:
                    return
                # A pause while files grow; none when there is something to finish.
                self._changed.wait_for(lambda: any(each.ended for each in self._streams.values()), timeout=_PAUSE_S)
                now = list(self._streams.items())
            for stream, followed in now:
                if self._ship(stream, followed):
                    with self._changed:
                        del self._streams[stream]

    def _ship(self, stream: str, followed: _Followed) -> bool:
        """True when there is nothing more to do for this stream."""
        ended = followed.ended  # read first: what was written before the end is in the file by now
        try:
            self._make(stream, followed)
            while self._ship_some(stream, followed, rest_too=ended):
                pass
        except Exception:  # the stand-in for CloudWatch failing must not end the shipping of other streams
            followed.failures += 1
            log.warning("log stream %s (failure %d)", stream, followed.failures, exc_info=True)
            if followed.failures >= _MOST_FAILURES:
                return True
            time.sleep(0.1)
            return False
        followed.failures = 0
        return ended

    def _make(self, stream: str, followed: _Followed) -> None:
        exists = self._client.exceptions.ResourceAlreadyExistsException
        if not self._group_made:
            try:
                self._client.create_log_group(logGroupName=self._group)
            except exists:
                log.debug("%s exists", self._group)
            self._group_made = True
        if not followed.made:
            try:
                self._client.create_log_stream(logGroupName=self._group, logStreamName=stream)
            except exists:
                log.debug("%s exists", stream)
            followed.made = True

    def _ship_some(self, stream: str, followed: _Followed, *, rest_too: bool) -> bool:
        """Ship one batch of whole lines (and of an unfinished last one when rest_too). False when there were none."""
        with followed.path.open("rb") as file:
            file.seek(followed.position)
            chunk = file.read(_MOST_READ)
        whole = chunk.rfind(b"\n") + 1
        taken = chunk[:whole] if whole else chunk if rest_too or len(chunk) == _MOST_READ else b""
        lines = taken.splitlines(keepends=True)[:_MOST_EVENTS]
        if not lines:
            return False
        now = time.time_ns() // 1_000_000
        # CloudWatch refuses an empty message.
        messages = [line.decode(errors="replace").rstrip("\r\n")[:_LONGEST_EVENT] or " " for line in lines]
        self._client.put_log_events(
            logGroupName=self._group,
            logStreamName=stream,
            logEvents=[{"timestamp": now, "message": message} for message in messages],
        )
        followed.position += sum(map(len, lines))
        return True
