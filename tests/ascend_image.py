"""What stands for ModelArts' image where a test needs no MindSpore: a Python with pip, and an index that is a folder."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE = "trainyard_greeting"
_MODULE = 'def greeting():\n    return "hello from a wheel"\n'
_SECONDS = 120


def make_image(home: Path) -> Path:
    """Its interpreter. pip finds the package `trainyard-greeting` 1.0 and nothing else, without the network."""
    environment, wheels = home / "image", home / "wheels"
    if not environment.exists():
        wheels.mkdir(parents=True)
        _write_wheel(wheels)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=_SECONDS)
        (environment / "pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n")
    return environment / "bin" / "python"


def _write_wheel(folder: Path) -> None:
    info = f"{PACKAGE}-1.0.dist-info"
    files = {
        f"{PACKAGE}.py": _MODULE,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: trainyard-greeting\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{PACKAGE}-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, content)
