"""Why a script failed, as its own output tells it: the exception and its place in the user's code, or what ran out."""

from __future__ import annotations

import re

from trainyard.model.run import FailureReason
from trainyard.model.text import Text

_BEGIN = b"Traceback (most recent call last)"
_LONGEST_TRACEBACK = 128 << 10
_HEAD_KEPT, _END_KEPT = 16 << 10, 64 << 10
_TAIL_BYTES = 64 << 10
_LAST_WORDS = 4096
_LINES_SHOWN, _LINE_SHOWN = 20, 500

_FRAME = re.compile(rb'\n[ \t|]*File "([^"\n]+)", line (\d+)')
# The first line after the frames that is neither indented nor part of a chain: `ValueError: text`.
_EXCEPTION = re.compile(
    rb"\n(?:\[[\w ]{1,12}\]:? ?)?((?!Traceback|During handling|The above)[A-Za-z_][\w.]*(?:: [^\n]*)?)(?=\n)"
)
_INSTALLED = re.compile(r"site-packages/|dist-packages/|/lib/python3|/lib64/python3|/bin/[^/.]+$|^<")

# What an exception or the last lines say, and what it means. The order decides.
_CAUSES: tuple[tuple[re.Pattern[bytes], str, Text], ...] = (
    (
        re.compile(rb"No space left on device|Disk quota exceeded|File too large|Errno (?:28|27)\b"),
        "no_space",
        Text(
            en="The disk is full. Write less to it, or choose a flavor with a larger disk.",
            zh="磁盘空间不足。请减少写入，或选择磁盘更大的规格。",
        ),
    ),
    (
        re.compile(
            rb"\bMemoryError\b|OutOfMemoryError|out of memory|std::bad_alloc|Cannot allocate memory"
            rb"|[Mm]emory isn't enough|oom-kill|Out of memory"
        ),
        "out_of_memory",
        Text(
            en="Memory ran out. Choose a smaller batch size or a flavor with more memory.",
            zh="内存或显存不足。请减小批大小（batch size），或选择内存更大的规格。",
        ),
    ),
    (
        re.compile(rb"loss is (?:NAN|INF|nan|NaN)|[Ll]oss (?:is|became) (?:NaN|nan|inf)|FloatingPointError"),
        "nan",
        Text(
            en="The loss became NaN or infinite. Lower the learning rate and check the data.",
            zh="损失变为 NaN 或无穷大。请降低学习率并检查数据。",
        ),
    ),
    # What the isolation of a script refuses looks to it like a network that is broken, or a machine that is full.
    (
        re.compile(
            rb"Network is unreachable|Temporary failure in name resolution|Name or service not known"
            rb"|No route to host|Could not resolve host|NameResolutionError"
        ),
        "no_network",
        Text(
            en="Scripts run without the network unless the operator opens it. Name data sets and models as inputs, and "
            "packages in pip-requirements.txt.",
            zh="除非管理员开放，脚本不能访问网络。请将数据集和模型声明为输入，将依赖写入 pip-requirements.txt。",
        ),
    ),
    (
        re.compile(rb"Resource temporarily unavailable|can't start new thread|fork: retry|pthread_create failed"),
        "too_many_processes",
        Text(
            en="The script started more processes and threads than it may. Use fewer workers or threads.",
            zh="脚本启动的进程和线程过多。请减少 worker 或线程数量。",
        ),
    ),
)
_KILLED = re.compile(rb"(?:^|\n)(?:[^\n]{0,80}[: ])?Killed[^\n]{0,20}\n*$")


def _place(traceback: bytes, exception: re.Match[bytes] | None) -> tuple[str, int] | None:
    """File and line of the innermost frame in the user's code."""
    if exception is None:
        return None
    frames = (
        (match[1].decode("utf-8", "replace"), int(match[2]))
        for match in _FRAME.finditer(traceback[: exception.start()])
    )
    mine = [frame for frame in frames if not _INSTALLED.search(frame[0])]
    return mine[-1] if mine else None


class FailureFinder:
    """Fed with the log in pieces that end at line breaks; remembers the last traceback and the last lines."""

    def __init__(self) -> None:
        self._traceback = b""
        self._before = b""
        """The last traceback but this one that leads through the user's code."""
        self._open = False
        self._tail = b""
        self._behind = 0
        """Bytes printed since the traceback ended."""

    def feed(self, lines: bytes) -> None:
        self._tail = (self._tail + lines[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        begin = lines.rfind(_BEGIN)
        if begin >= 0:
            for traceback in (self._traceback, self._one_before(lines, begin)):
                if _place(traceback, self._exception_in(traceback)) is not None:
                    self._before = traceback
            self._traceback, self._open = lines[begin:], True
        elif self._open:
            self._traceback += lines
        self._behind += len(lines)
        if self._open:
            exception = _EXCEPTION.search(self._traceback)
            self._open = exception is None
            self._behind = len(self._traceback) - exception.end() if exception else 0
            self._shorten()

    def last_lines(self) -> list[str]:
        """The last 20 lines that say something, as a terminal would show them, each cut at 500 characters."""
        from trainyard.logs.terminal import readable

        lines = [line.rstrip() for line in readable(self._tail).splitlines() if line.strip()]
        return [line[:_LINE_SHOWN] for line in lines[-_LINES_SHOWN:]]

    def reason(
        self, exit_code: int | None = None, signal: int | None = None, *, cut_off: bool = False
    ) -> FailureReason | None:
        """Why the script ended badly, or None where its output does not tell.

        Args:
            cut_off: nobody knows how it ended, the machine may have been lost while all was well. Then an exception
                counts only if nothing much was printed after it: others were handled.
        """
        exception, file, line = b"", None, None
        if not cut_off or self._behind <= _LAST_WORDS:
            exception, file, line = self._exception()
        evidence = exception or self._tail[-_LAST_WORDS:]
        for pattern, kind, meaning in _CAUSES:
            if pattern.search(evidence):
                return self._with(kind, _joined(exception, meaning), file, line)
        if exception:
            text = exception.decode("utf-8", "replace")[:1000]
            return self._with("script", Text(en=text, zh=text), file, line)
        if signal == 9 or exit_code in (137, -9) or _KILLED.search(self._tail):
            return self._with("killed", _KILLED_TEXT, None, None)
        return None

    def _exception(self) -> tuple[bytes, str | None, int | None]:
        """Of the last traceback; of one before, where the last is only a launcher's, which saw its child fail."""
        for traceback in (self._traceback, self._before):
            found = self._exception_in(traceback)
            place = _place(traceback, found)
            if found is not None and place is not None:
                return found[1], *place
        found = self._exception_in(self._traceback)
        return (found[1] if found else b""), None, None

    def _exception_in(self, traceback: bytes) -> re.Match[bytes] | None:
        return _EXCEPTION.search(b"\n" + traceback + b"\n") if traceback else None

    def _one_before(self, lines: bytes, begin: int) -> bytes:
        """The traceback before the one at `begin`, where the same lines hold it."""
        start = lines.rfind(_BEGIN, 0, begin)
        return lines[max(start, begin - _LONGEST_TRACEBACK) : begin] if start >= 0 else b""

    def _shorten(self) -> None:
        """A traceback may be of any length: its beginning and its end tell enough."""
        if len(self._traceback) > _LONGEST_TRACEBACK:
            self._traceback = self._traceback[:_HEAD_KEPT] + b"\n" + self._traceback[-_END_KEPT:]

    def _with(self, kind: str, message: Text, file: str | None, line: int | None) -> FailureReason:
        return FailureReason(kind=kind, message=message, file=file, line=line, last_lines=self.last_lines())


_KILLED_TEXT = Text(
    en="The process was killed (signal 9), most often because memory ran out. "
    "Choose a smaller batch size or a larger flavor.",
    zh="进程被强制终止（信号 9），通常是内存不足。请减小批大小（batch size），或选择更大的规格。",
)


def _joined(exception: bytes, meaning: Text) -> Text:
    said = exception.decode("utf-8", "replace")[:1000]
    return Text(en=f"{meaning.en} ({said})", zh=f"{meaning.zh}（{said}）") if said else meaning
