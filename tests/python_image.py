"""A container image with the Python of this machine's own distribution: small, and every byte of it here already."""

from __future__ import annotations

import re
import subprocess
import tarfile
from functools import cache
from pathlib import Path

from registry_fake import layer

_PYTHON = next(iter(sorted(Path("/usr/bin").glob("python3.[0-9]*[0-9]"))), Path("/usr/bin/python3"))
_LIBRARY = Path("/usr/lib") / _PYTHON.name
_LEFT_OUT = {"__pycache__", "test", "idlelib", "lib2to3", "tkinter", "dist-packages", "ensurepip", "pydoc_data"}
_LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/bin/python3": _PYTHON.name}


def is_possible() -> bool:
    return _PYTHON.exists() and (_LIBRARY / "os.py").exists()


@cache
def python_layer() -> bytes:
    """`/usr/bin/python3` and all that it needs, with /bin and /lib linked into /usr as distributions do."""
    files: dict[str, bytes | tarfile.TarInfo] = {}
    for name, target in _LINKS.items():
        link = tarfile.TarInfo()
        link.type, link.linkname = tarfile.SYMTYPE, target
        files[name] = link
    for path in [_PYTHON, *_LIBRARY.rglob("*")]:
        skipped = _LEFT_OUT.intersection(path.parts) or any(part.startswith("config-") for part in path.parts)
        if path.is_file() and not skipped:
            files[str(path).lstrip("/")] = path.read_bytes()
    for library in _libraries([_PYTHON, *(_LIBRARY / "lib-dynload").glob("_ctypes.*.so")]):
        place = str(library).lstrip("/")
        files[place if place.startswith("usr/") else f"usr/{place}"] = library.read_bytes()
    return layer(files)


def _libraries(programs: list[Path]) -> set[Path]:
    told = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, timeout=30, check=True).stdout
    return {Path(found) for found in re.findall(r"(?:=>|^)\s+(/\S+) \(", told, re.MULTILINE)}
