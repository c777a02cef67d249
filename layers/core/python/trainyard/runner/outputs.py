"""What the script left becomes objects, with a manifest."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trainyard.model.result import OutputFile
from trainyard.model.text import Text
from trainyard.store.objects import Objects

_PARALLEL = 4
MAX_FILES = 100_000
_SHOWN = 5


def upload(objects: Objects, folder: Path, prefix: str, say: Callable[[Text], None]) -> list[OutputFile]:
    """Store every regular file under `folder`; returns them in the order of their paths.

    Links, sockets and devices stay behind, as do names that are not text: the log says which.
    """
    files: list[Path] = []
    left: list[Path] = []
    for path in _walk(folder):
        (files if _is_uploadable(path, folder) else left).append(path)
    if len(files) > MAX_FILES:
        left += files[MAX_FILES:]
        del files[MAX_FILES:]
    if left:
        say(_left_behind(left, folder))
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="upload") as pool:
        return list(pool.map(lambda path: _upload_file(objects, path, folder, prefix), files))


def _walk(folder: Path) -> Iterator[Path]:
    """All that is not a folder, ordered, without following links."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in [*folders]:
            path = Path(parent, name)
            if path.is_symlink():
                yield path
            elif not os.access(path, os.R_OK | os.X_OK):
                path.chmod(0o700)
        for name in sorted(names):
            yield Path(parent, name)


def _is_uploadable(path: Path, folder: Path) -> bool:
    name = str(path.relative_to(folder))
    return stat.S_ISREG(path.lstat().st_mode) and name.isprintable() and len(os.fsencode(name)) <= 700


def _upload_file(objects: Objects, path: Path, folder: Path, prefix: str) -> OutputFile:
    name = path.relative_to(folder).as_posix()
    if not os.access(path, os.R_OK):
        path.chmod(0o400)
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    objects.put_file(prefix + name, path)
    return OutputFile(path=name, size=path.stat().st_size, sha256=digest)


def _left_behind(left: list[Path], folder: Path) -> Text:
    names = ", ".join(repr(str(path.relative_to(folder))) for path in left[:_SHOWN])
    more = ", ..." if len(left) > _SHOWN else ""
    return Text(
        en=f"not kept, because only regular files with printable names are: {names}{more} ({len(left)} in all)",
        zh=f"以下内容未保存（只保存名称可打印的普通文件）：{names}{more}，共 {len(left)} 个",
    )
