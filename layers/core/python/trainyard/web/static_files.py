"""Style sheets, scripts and pictures: named by their content, so that a browser fetches each once and keeps it."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFile:
    name: str
    """`app.0123456789.css`."""
    content_type: str
    content: bytes
    compressed: bytes


def static_url(path: str) -> str:
    """The address of a file of `static/`. KeyError if there is none."""
    return f"/static/{_by_path()[path].name}"


def static_file(name: str) -> StaticFile | None:
    """The file of that hashed name; None for an unknown one, and for the name of an older content."""
    return next((file for file in _by_path().values() if file.name == name), None)


@cache
def _by_path() -> dict[str, StaticFile]:
    paths = [path for path in sorted(_FOLDER.rglob("*")) if path.suffix in _TYPES]
    return {path.relative_to(_FOLDER).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:10]
    name = f"{path.stem}.{digest}{path.suffix}"
    return StaticFile(name, _TYPES[path.suffix], content, gzip.compress(content, 9, mtime=0))
