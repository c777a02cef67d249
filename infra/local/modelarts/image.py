"""What stands for ModelArts' Ascend image here: a Python with MindSpore for the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MINDSPORE = "mindspore==2.10.0"
_INSTALL_SECONDS = 1800


def ensure(cache: Path, uv: str) -> str:
    """The interpreter, made on first use (about 1 GB of downloads if uv has not got them)."""
    home = cache / "ascend-image"
    python = home / "bin" / "python"
    done = home / "ready"
    if not done.exists():
        for command in (
            [uv, "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, str(home)],
            [uv, "pip", "install", "--quiet", "--python", str(python), MINDSPORE],
        ):
            subprocess.run(command, check=True, timeout=_INSTALL_SECONDS)
        done.touch()
    return str(python)
