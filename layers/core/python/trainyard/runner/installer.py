"""Packages are installed by uv, shut in like a script: with the network, but without credentials.

First wheels only. Nothing of a wheel runs when it is unpacked, so the files that are fetched may be kept for all runs,
whoever they belong to. Only where that is not enough are source packages built. Their build is code as foreign as the
script, so it runs as the script's own user, and what it fetched is thrown away: it could have changed it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from trainyard.model.text import Text
from trainyard.runner import process
from trainyard.runner.errors import SetupError
from trainyard.runner.isolation import Access, Jail
from trainyard.runner.requirements import REQUIREMENTS_FILE, Requirements
from trainyard.runner.stop import Stop
from trainyard.runner.users import INSTALLER
from trainyard.runner.workspace import give, remove

Say = Callable[[Text], None]

INSTALL_SECONDS = 1800.0
_FIND_SECONDS = 60.0
_LAST_LINES = 20
# What an operator may set for uv: a mirror, a proxy, certificates.
_PASSED_ON = ("UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_OURS = ("UV_CACHE_DIR", "UV_NO_BUILD", "UV_PYTHON_DOWNLOADS", "UV_NO_CONFIG")
# uv's words for: there is a package, but it would have to be built.
_MUST_BE_BUILT = re.compile(r"no usable wheels|no wheels|[Bb]uilding (from source|source distributions) is disabled")
_LARGEST_CHAIN = 10


class Installer:
    """Of one host. `folder`: one file system's folder that holds environments and the files they are linked from."""

    def __init__(self, folder: Path, outer: Mapping[str, str], jail: Jail) -> None:
        self._folder, self._jail = folder, jail
        self.environments = folder / "environments"
        user = None if jail.user is None else INSTALLER
        self._shared = Jail(jail.policy, jail.root, user)
        for each in (self.environments, folder / "uv", folder / "home"):
            each.mkdir(parents=True, exist_ok=True)
        if user is not None:
            for each in (self.environments, folder / "uv", folder / "home"):
                os.chown(each, user, user)
        self._environment = {
            "PATH": outer.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "UV_NO_CONFIG": "1",
            "UV_NO_PROGRESS": "1",
            # An interpreter that appears in the middle of a run would be one that nobody chose.
            "UV_PYTHON_DOWNLOADS": "never",
            **{name: value for name, value in outer.items() if name.startswith(_PASSED_ON) and name not in _OURS},
        }

    def install(
        self, part: Path, requirements: Requirements, python: str, stop: Stop, say: Say, *, system_packages: bool
    ) -> Path:
        """Make an environment somewhere below `part` and return its folder, which nobody but us may change.

        `python`: version, `3.11`. SetupError with uv's last lines where it cannot be made, StopRequestedError.
        """
        interpreter = self._find(python)
        options = ["--system-site-packages"] if system_packages else []
        attempt = _Attempt(self._shared, part, self._folder, interpreter, self._environment, stop)
        failed = attempt.make(options) or attempt.install(requirements, ["--no-build"])
        if failed and any(_MUST_BE_BUILT.search(line) for line in failed):
            say(_building())
            attempt = _Attempt(self._jail, part, part, interpreter, self._environment, stop)
            failed = attempt.make(options) or attempt.install(requirements, [])
        if failed:
            raise _not_installed(failed)
        if self._jail.user is not None:
            give(attempt.home, os.geteuid())
        return attempt.home

    def _find(self, python: str) -> Path:
        """The interpreter of that version. It is the operator's own, so it is looked for openly."""
        found = subprocess.run(
            [_uv(), "python", "find", "--no-project", "--system", python],
            env={**self._environment, "HOME": str(self._folder / "home"), "UV_CACHE_DIR": str(self._folder / "found")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_FIND_SECONDS,
            check=False,
        )
        if found.returncode:
            raise SetupError(
                Text(
                    en=f"Python {python} is not installed where the run was started; the operator must add it.",
                    zh=f"运行环境中没有安装 Python {python}，请联系管理员添加。",
                ),
                found.stderr.decode(errors="replace").splitlines()[-_LAST_LINES:],
            )
        return Path(found.stdout.decode().strip())


class _Attempt:
    """One way to make an environment: in which jail, and from which kept files."""

    def __init__(
        self, jail: Jail, part: Path, kept: Path, python: Path, environment: Mapping[str, str], stop: Stop
    ) -> None:
        self._jail, self._part, self._kept, self._python, self._stop = jail, part, kept, python, stop
        self.home = part / "environment"
        remove(part)
        for folder in (part, part / "tmp", kept / "uv", kept / "home"):
            folder.mkdir(exist_ok=True)
        if jail.user is not None:
            give(part, jail.user)
        self._environment = {
            **environment,
            "HOME": str(kept / "home"),
            "TMPDIR": str(part / "tmp"),
            "UV_CACHE_DIR": str(kept / "uv"),
        }

    def make(self, options: list[str]) -> list[str]:
        command = ["venv", "-q", "--relocatable", "--no-project", *options]
        return self._run([*command, "--python", str(self._python), str(self.home)])

    def install(self, requirements: Requirements, options: list[str]) -> list[str]:
        if not requirements.lines:
            return []
        file = self._part / REQUIREMENTS_FILE
        file.write_text(requirements.text)
        python = str(self.home / "bin" / "python")
        return self._run(["pip", "install", *options, "--python", python, "-r", str(file)])

    def _run(self, arguments: list[str]) -> list[str]:
        """Nothing if it went well, else the last lines of what uv said, at least one."""
        before = process.children()
        with tempfile.TemporaryFile() as said:
            started = self._jail.start(
                [_uv(), *arguments],
                self._part,
                self._environment,
                Access([Path(_uv()), *base_folders(self._python), *self._told()], [self._kept, self._part]),
                output=said,
                network=True,
            )
            try:
                outcome = process.wait(started.process, self._stop, INSTALL_SECONDS)
            finally:
                self._jail.end(started, 1.0, before)
            self._stop.check()
            if outcome is process.Outcome.ENDED and started.process.returncode == 0:
                return []
            said.seek(0)
            lines = deque((line.decode(errors="replace").rstrip() for line in said), maxlen=_LAST_LINES)
        if outcome is process.Outcome.TIMED_OUT:
            lines.append(f"stopped after {INSTALL_SECONDS:.0f} s")
        return [line for line in lines if line] or ["uv ended without a word"]

    def _told(self) -> list[Path]:
        """Files and folders that the operator's settings for uv name: certificates, a folder of wheels."""
        values = (Path(value.removeprefix("file://")) for value in self._environment.values())
        return [path for path in values if path.is_absolute() and path.exists() and path != Path("/")]


def installed(home: Path) -> list[str]:
    """`name==version` of all packages, read from what they say of themselves; nothing of theirs is run."""
    folders = [str(folder) for folder in home.glob("lib/python*/site-packages")]
    found = {f"{each.name}=={each.version}" for each in metadata.distributions(path=folders) if each.name}
    return sorted(found, key=str.lower)


def digests(home: Path) -> dict[str, str]:
    """`name==version` -> SHA-256 over the package's record of its files: the same wheel gives the same everywhere.

    Left out of the record: scripts, which name the interpreter they were installed for, and what the installer adds.
    """
    folders = [str(folder) for folder in home.glob("lib/python*/site-packages")]
    found = {}
    for each in metadata.distributions(path=folders):
        record = each.read_text("RECORD")
        if each.name and record:
            lines = (line for line in record.splitlines() if ",sha256=" in line and not _NOT_OF_THE_WHEEL.search(line))
            found[f"{each.name}=={each.version}"] = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    return found


_NOT_OF_THE_WHEEL = re.compile(r"^\.\./|\.pyc,|dist-info/(?:INSTALLER|REQUESTED|RECORD|direct_url\.json|uv_\w+\.json),")


def base_folders(python: Path) -> list[Path]:
    """The folders of the installation that an interpreter belongs to, along all the links that lead there."""
    return sorted({folder for each in _chain(python) for folder in _of_installation(each) if folder.is_dir()})


def _chain(python: Path) -> Iterator[Path]:
    for _ in range(_LARGEST_CHAIN):
        yield python
        if not python.is_symlink():
            return
        python = python.parent / python.readlink()


def _of_installation(python: Path) -> list[Path]:
    # Not all that lies beside `bin`: that may be somebody's home.
    base = Path(os.path.normpath(python.parent)).parent
    return [base / name for name in ("bin", "lib", "lib64")]


def _uv() -> str:
    found = shutil.which("uv")
    if found is None:
        import uv

        found = uv.find_uv_bin()
    return os.path.realpath(found)


def _not_installed(said: list[str]) -> SetupError:
    why = said[-1].strip()
    return SetupError(
        Text(
            en=f"The packages of {REQUIREMENTS_FILE} could not be installed: {why}",
            zh=f"{REQUIREMENTS_FILE} 中的依赖安装失败：{why}",
        ),
        said,
    )


def _building() -> Text:
    return Text(en="there are packages without a wheel; building them", zh="部分依赖没有 wheel 包，正在从源码构建")
