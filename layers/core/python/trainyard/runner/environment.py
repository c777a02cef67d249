"""The script's Python with its packages: a virtual environment that is built once and kept for the runs after it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from trainyard.model.text import Text
from trainyard.runner.installer import INSTALL_SECONDS, Installer, Say, base_folders, digests, installed
from trainyard.runner.isolation import Jail
from trainyard.runner.kept import KeptFolders, Record
from trainyard.runner.requirements import Requirements
from trainyard.runner.stop import Stop

MAX_KEPT_BYTES = 40 << 30


@dataclass(frozen=True)
class Environment:
    """What a script stands on."""

    python: Path
    """Its interpreter."""
    packages: list[str]
    """`name==version` of all that is installed, as far as it is known."""
    cached: bool
    """It was there already."""
    digests: dict[str, str] = field(default_factory=dict)
    """`name==version` -> what it installed, see `installer.digests`."""
    folders: list[Path] = field(default_factory=list)
    """What of this machine a script must be able to read to run it."""
    system: Path | None = None
    """The folder that it sees as the system, where that is not this machine's own."""
    variables: dict[str, str] = field(default_factory=dict)
    """What such a system sets for its programs."""


class Environments(AbstractContextManager["Environments"]):
    """The kept environments of a host. What was opened stays in use until the context ends."""

    def __init__(self, cache: Path, outer: Mapping[str, str], jail: Jail) -> None:
        self._installer = Installer(cache / "python", outer, jail)
        self._kept = KeptFolders(self._installer.environments, INSTALL_SECONDS, _has_interpreter)

    def open(
        self, requirements: Requirements, python: str, stop: Stop, say: Say, *, system_packages: bool = False
    ) -> Environment:
        """The environment for these requirements, built if it is not there.

        `python`: version, `3.11`. `system_packages`: the script also sees what the image holds.
        Raises SetupError with the installer's own last lines where it cannot be built, and StopRequestedError.
        """

        def build(part: Path) -> tuple[Path, Record]:
            if requirements.lines:
                say(_installing(requirements))
            made = self._installer.install(part, requirements, python, stop, say, system_packages=system_packages)
            return made, {
                "packages": installed(made),
                "digests": digests(made),
                "bytes": _size(made),
                "lines": requirements.lines,
            }

        key = requirements.key(python, system_packages=system_packages, today=datetime.now(UTC).date())
        kept = self._kept.open(key, stop, build)
        interpreter = kept.path / "bin" / "python"
        return Environment(
            interpreter,
            kept.record["packages"],
            kept.cached,
            kept.record.get("digests", {}),
            # Its own, and what of the base installation it leads to.
            [kept.path, *base_folders(interpreter)],
        )

    def evict(self) -> None:
        """Make room for others, see `KeptFolders`."""
        self._kept.evict(MAX_KEPT_BYTES)

    def __exit__(self, *_: object) -> None:
        self._kept.__exit__()


def _has_interpreter(home: Path) -> bool:
    """Its interpreter is still where it was when it was built."""
    return (home / "bin" / "python").exists()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _installing(requirements: Requirements) -> Text:
    names = ", ".join(requirements.lines[:6]) + (", ..." if len(requirements.lines) > 6 else "")
    return Text(en=f"installing {names}", zh=f"正在安装 {names}")
