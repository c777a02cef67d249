"""Folders become zips, the same bytes for the same content, so that what did not change is not deployed again."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import py_compile
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUCKET = "trainyard-deploy"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
_LEFT_OUT = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def zip_folder(folder: Path, *, inside: str = "", cache: Path) -> bytes:
    """The folder's files, under `inside`, with bytecode beside every Python file."""
    entries: dict[str, bytes] = {}
    for path in _files(folder):
        name = inside + path.relative_to(folder).as_posix()
        entries[name] = path.read_bytes()
        if path.suffix == ".py":
            entries[_bytecode_name(name)] = _bytecode(path, name, cache)
    return zip_entries(entries)


def zip_entries(entries: dict[str, bytes]) -> bytes:
    """A zip of names and contents that depends on nothing else."""
    buffer = io.BytesIO()
    # Stored, not deflated: the emulator unpacks it for every worker it starts.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            about = zipfile.ZipInfo(name, _EPOCH)
            about.external_attr = 0o644 << 16
            archive.writestr(about, entries[name])
    return buffer.getvalue()


class Uploads:
    """The emulator's bucket for code and templates; a file's key is the hash of its content."""

    def __init__(self, s3: Any, endpoint: str) -> None:
        self._s3 = s3
        self._endpoint = endpoint
        s3.create_bucket(Bucket=BUCKET)
        self._known: set[str] = {
            item["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            for item in page.get("Contents", [])
        }

    def s3_uri(self, content: bytes, suffix: str = ".zip") -> str:
        return f"s3://{BUCKET}/{self._put(content, suffix)}"

    def https_url(self, content: bytes, suffix: str = ".json") -> str:
        """An address as TemplateURL wants it."""
        return f"{self._endpoint}/{BUCKET}/{self._put(content, suffix)}"

    def _put(self, content: bytes, suffix: str) -> str:
        key = hashlib.sha256(content).hexdigest()[:32] + suffix
        if key not in self._known:
            self._s3.put_object(Bucket=BUCKET, Key=key, Body=content)
            self._known.add(key)
        return key


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _LEFT_OUT & set(path.relative_to(folder).parts) and path.suffix != ".pyc":
            yield path


def _bytecode_name(name: str) -> str:
    cached = importlib.util.cache_from_source(name)
    return Path(cached).as_posix()


def _bytecode(source: Path, name: str, cache: Path) -> bytes:
    """Bytecode that Python takes unchecked: unpacking gives the source a new time, which would void it otherwise."""
    identity = importlib.util.MAGIC_NUMBER + name.encode() + b"\0" + source.read_bytes()
    kept = cache / "bytecode" / hashlib.sha256(identity).hexdigest()
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            fresh = Path(scratch) / "fresh"
            py_compile.compile(str(source), str(fresh), name, doraise=True, invalidation_mode=_UNCHECKED)
            shutil.move(fresh, kept)
    return kept.read_bytes()
