"""The script's Python with its packages: a virtual environment that is built once and kept for the runs after it.

`environments/<key>/` appears by a rename when it is complete. `<key>.lock` beside it is held exclusively by whoever
builds or removes it and shared by every attempt that uses it, so that none is taken away under a running script.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from trainyard.model.text import Text
from trainyard.runner import process
from trainyard.runner.errors import SetupError
from trainyard.runner.requirements import REQUIREMENTS_FILE, Requirements
from trainyard.runner.stop import Stop

Say = Callable[[Text], None]

INSTALL_SECONDS = 1800.0
MAX_KEPT_BYTES = 40 << 30
MAX_UNUSED_SECONDS = 14 * 86400.0
_LOCK_TICK_SECONDS = 0.1
_LAST_LINES = 20
_RECORD = "trainyard.json"
# What an operator may set for uv: a mirror, a proxy, certificates, where its own cache lies.
_PASSED_ON = ("UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Environment:
    python: Path
    """Its interpreter."""
    packages: list[str]
    """`name==version` of all that is installed."""
    cached: bool
    """It was there already."""


class Environments(AbstractContextManager["Environments"]):
    """The kept environments of a host. What was opened stays in use until the context ends."""

    def __init__(self, cache: Path, outer: Mapping[str, str]) -> None:
        self._folder = cache / "environments"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._uv = Uv(cache, outer)
        self._in_use = ExitStack()

    def open(
        self, requirements: Requirements, python: str, stop: Stop, say: Say, *, system_packages: bool = False
    ) -> Environment:
        """The environment for these requirements, built if it is not there.

        `python`: version, `3.11`. `system_packages`: the script also sees what the image holds.
        Raises SetupError with uv's own last lines where it cannot be built, and StopRequestedError.
        """
        key = requirements.key(python, system_packages=system_packages, today=datetime.now(UTC).date())
        home = self._folder / key
        lock = self._in_use.enter_context((self._folder / f"{key}.lock").open("a"))
        _take(lock, fcntl.LOCK_SH, stop)
        cached = _is_whole(home)
        if not cached:
            _take(lock, fcntl.LOCK_EX, stop)
            # Whoever held the lock meanwhile was most likely building the very same.
            cached = _is_whole(home)
            if not cached:
                self._build(home, requirements, python, stop, say, system_packages=system_packages)
            _take(lock, fcntl.LOCK_SH, stop)
        record = home / _RECORD
        os.utime(record)
        return Environment(home / "bin" / "python", json.loads(record.read_text())["packages"], cached)

    def evict(self, max_bytes: int = MAX_KEPT_BYTES, max_unused: float = MAX_UNUSED_SECONDS) -> None:
        """Remove what was not used for long, and the longest unused while all together are too large."""
        kept = sorted(self._folder.glob(f"*/{_RECORD}"), key=lambda record: record.stat().st_mtime, reverse=True)
        total = 0
        for record in kept:
            total += json.loads(record.read_text())["bytes"]
            if total > max_bytes or time.time() - record.stat().st_mtime > max_unused:
                self._remove(record.parent)

    def __exit__(self, *_: object) -> None:
        self._in_use.close()

    def _build(
        self, home: Path, requirements: Requirements, python: str, stop: Stop, say: Say, *, system_packages: bool
    ) -> None:
        part = home.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
        try:
            self._uv.make(part, python, stop, system_packages=system_packages)
            if requirements.lines:
                say(_installing(requirements))
                self._uv.install(part, requirements, stop)
            record = {"packages": self._uv.packages(part, stop), "bytes": _size(part), "lines": requirements.lines}
            (part / _RECORD).write_text(json.dumps(record))
            part.rename(home)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _remove(self, home: Path) -> None:
        with (self._folder / f"{home.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # in use
            # Gone at once for everybody else, whatever becomes of the removal.
            doomed = home.with_suffix(".gone")
            home.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)


class Uv:
    """The installer, run without the runner's credentials: a package's own build code is as foreign as the script."""

    def __init__(self, cache: Path, outer: Mapping[str, str]) -> None:
        self._folder = cache
        self._environment = {
            "PATH": outer.get("PATH", os.defpath),
            "HOME": str(cache / "uv-home"),
            "LANG": "C.UTF-8",
            "UV_CACHE_DIR": str(cache / "uv"),
            "UV_NO_CONFIG": "1",
            "UV_NO_PROGRESS": "1",
            # An interpreter that appears in the middle of a run would be one that nobody chose.
            "UV_PYTHON_DOWNLOADS": "never",
            **{name: value for name, value in outer.items() if name.startswith(_PASSED_ON)},
        }

    def make(self, home: Path, python: str, stop: Stop, *, system_packages: bool) -> None:
        options = ["--relocatable", "--no-project"]
        if system_packages:
            options.append("--system-site-packages")
        failed = self._run(["venv", "-q", *options, "--python", python, str(home)], stop)
        if failed is not None:
            raise SetupError(
                Text(
                    en=f"Python {python} is not installed where the run was started; the operator must add it.",
                    zh=f"运行环境中没有安装 Python {python}，请联系管理员添加。",
                ),
                failed,
            )

    def install(self, home: Path, requirements: Requirements, stop: Stop) -> None:
        file = home / REQUIREMENTS_FILE
        file.write_text(requirements.text)
        failed = self._run(["pip", "install", "--python", str(home / "bin" / "python"), "-r", str(file)], stop)
        if failed is not None:
            why = failed[-1].strip() if failed else "uv ended without a word"
            raise SetupError(
                Text(
                    en=f"The packages of {REQUIREMENTS_FILE} could not be installed: {why}",
                    zh=f"{REQUIREMENTS_FILE} 中的依赖安装失败：{why}",
                ),
                failed,
            )

    def packages(self, home: Path, stop: Stop) -> list[str]:
        with (home / "packages").open("w+b") as listing:
            self._run(["pip", "freeze", "--python", str(home / "bin" / "python")], stop, listing)
            listing.seek(0)
            return listing.read().decode().split("\n")[:-1]

    def _run(self, arguments: list[str], stop: Stop, output: IO[bytes] | None = None) -> list[str] | None:
        """None if it went well, else the last lines of what uv said."""
        with tempfile.TemporaryFile() as said:
            started = subprocess.Popen(
                [*_uv_command(), *arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output or said,
                stderr=said,
                start_new_session=True,
            )
            outcome = process.wait(started, stop, INSTALL_SECONDS)
            process.end_group(started, grace=1.0)
            stop.check()
            if outcome is process.Outcome.ENDED and started.returncode == 0:
                return None
            said.seek(0)
            lines = deque((line.decode(errors="replace").rstrip() for line in said), maxlen=_LAST_LINES)
        if outcome is process.Outcome.TIMED_OUT:
            lines.append(f"stopped after {INSTALL_SECONDS:.0f} s")
        return [line for line in lines if line]


def _uv_command() -> list[str]:
    found = shutil.which("uv")
    return [found] if found else [sys.executable, "-m", "uv"]


def _take(lock: IO[str], kind: int, stop: Stop) -> None:
    """Wait for the lock as long as one installation may take. SetupError after that."""
    deadline = time.monotonic() + INSTALL_SECONDS
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            stop.check()
            if time.monotonic() > deadline:
                raise SetupError(
                    Text(
                        en="Another run kept installing the same packages for too long; start the run again.",
                        zh="另一个训练安装相同依赖的时间过长，请重新创建训练。",
                    )
                ) from None
            time.sleep(_LOCK_TICK_SECONDS)
        else:
            return


def _is_whole(home: Path) -> bool:
    """Complete, and its interpreter is still where it was when it was built."""
    return (home / _RECORD).exists() and (home / "bin" / "python").exists()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _installing(requirements: Requirements) -> Text:
    names = ", ".join(requirements.lines[:6]) + (", ..." if len(requirements.lines) > 6 else "")
    return Text(en=f"installing {names}", zh=f"正在安装 {names}")
