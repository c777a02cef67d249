"""Running git so that nothing of this machine's set-up changes what it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MAX_PUSH_BYTES = 256 << 20
GIT_SECONDS = 30.0
"""For a command that this host asks for itself; a fetch or push of a user has a limit of its own."""

_CONFIG = """\
[core]
\thooksPath = {hooks}
[safe]
\tdirectory = *
[http]
\treceivepack = true
\tgetanyfile = false
[receive]
\tmaxInputSize = {max_push}
\tautogc = false
[transfer]
\tfsckObjects = true
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
\tallowReachableSHA1InWant = true
[gc]
\tauto = 0
"""


class Git:
    """git with this host's own configuration and hooks, both written below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._config = root / "gitconfig"
        hooks = root / "hooks"
        hooks.mkdir(parents=True, exist_ok=True)
        self._config.write_text(_CONFIG.format(hooks=hooks, max_push=MAX_PUSH_BYTES))
        source = Path(__file__).parent / "hooks"
        # -ISB: nothing of the environment, no site packages, no .pyc; a push should not wait for an interpreter.
        _write_hook(hooks / "pre-receive", f"exec '{sys.executable}' -ISB '{source / 'pre_receive.py'}'")
        _write_hook(hooks / "post-receive", (source / "post-receive.sh").read_text())

    def environment(self) -> dict[str, str]:
        """No HOME and no system configuration: only what `root` says counts."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._config),
            "GIT_TERMINAL_PROMPT": "0",
        }

    def run(self, repository: Path | None, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """A short command to its end, whatever its exit status. TimeoutExpired if it takes too long."""
        return subprocess.run(
            ["git", *arguments],
            cwd=repository or self._root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )


def _write_hook(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
