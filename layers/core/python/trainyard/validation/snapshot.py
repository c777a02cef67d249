"""A commit as the rules see it: paths, modes, sizes and contents, wherever they come from."""

from __future__ import annotations

import os
import stat
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from trainyard.validation.object_database import (
    SUBMODULE,
    SYMLINK,
    LimitExceededError,
    Limits,
    ObjectDatabase,
    git_environment,
)

REGULAR = "100644"
EXECUTABLE = "100755"
MAX_FOLDERS = 20_000
READ_LIMIT = 1 << 20
"""No rule reads more of one file; larger ones are findings anyway."""


@dataclass(frozen=True)
class Entry:
    """One path of the commit."""

    path: str
    mode: str
    size: int | None
    """Bytes; None where the fetch left it out because it is too large."""
    oid: str = ""
    readable_name: bool = True
    """False where the name is not UTF-8; `path` then only resembles it."""

    @property
    def is_file(self) -> bool:
        return self.mode not in (SYMLINK, SUBMODULE)


class Snapshot(ABC):
    """What would be trained. `entries` is by path, in git's order."""

    commit: str | None = None
    entries: Mapping[str, Entry]

    @abstractmethod
    def _read(self, entry: Entry) -> bytes | None: ...

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None if there is no such file, or it is a link, too large or not readable."""
        entry = self.entries.get(path)
        if entry is None or not entry.is_file or entry.size is None or entry.size > READ_LIMIT:
            return None
        return self._read(entry)

    def text(self, path: str) -> str | None:
        """The file as UTF-8 text, without a byte order mark; None if it cannot be read as such."""
        data = self.read(path)
        try:
            return None if data is None else data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None

    def is_file(self, path: str) -> bool:
        return path in self.entries and self.entries[path].is_file

    def is_folder(self, path: str) -> bool:
        return path == "" or any(name.startswith(f"{path}/") for name in self.entries)

    @cached_property
    def folders(self) -> frozenset[str]:
        """The first MAX_FOLDERS of them: deep trees of long names have more than memory holds."""
        found: set[str] = set()
        for path in self.entries:
            if len(found) >= MAX_FOLDERS:
                break
            while "/" in path:
                path = path.rpartition("/")[0]  # noqa: PLW2901 - climbs to the root
                if path in found:
                    break
                found.add(path)
        return frozenset(found)


class CommitSnapshot(Snapshot):
    """A commit in an object database.

    Raises:
        LimitExceededError: it is more than the database's limits allow.
        UnreadableError: an object is damaged.
    """

    def __init__(self, database: ObjectDatabase, commit: str) -> None:
        self.commit = commit
        self._database = database
        listed = list(database.entries(commit))
        sizes = database.sizes(list({entry.oid for entry in listed if entry.mode != SUBMODULE}))
        entries = {}
        for entry in listed:
            path, readable = _name(entry.path)
            entries[path] = Entry(path, entry.mode, sizes.get(entry.oid), entry.oid, readable)
        if sum(entry.size or 0 for entry in entries.values()) > database.limits.content_bytes:
            raise LimitExceededError("content_bytes")
        self.entries = entries

    def _read(self, entry: Entry) -> bytes:
        return self._database.read(entry.oid)


class FolderSnapshot(Snapshot):
    """A folder on this machine as `git add -A` and a commit would take it; every file if it is no work tree.

    Raises:
        LimitExceededError: it is more than `limits` allow.
    """

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self._root = root
        limits = limits or Limits()
        entries: dict[str, Entry] = {}
        for name, submodule in sorted(_listed(root, limits)):
            if len(entries) >= limits.files:
                raise LimitExceededError("files")
            entry = _on_disk(root, name, submodule=submodule)
            if entry is not None:
                entries[entry.path] = entry
        self.entries = entries

    def _read(self, entry: Entry) -> bytes | None:
        try:
            return (self._root / entry.path).read_bytes()
        except OSError:  # gone meanwhile, or not ours to read
            return None


class MemorySnapshot(Snapshot):
    """Files held in memory: the rules' own examples."""

    def __init__(self, files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> None:
        self._files = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
        entries = [Entry(path, REGULAR, len(data)) for path, data in self._files.items()]
        entries += [Entry(path, mode, None) for path, mode in (links or {}).items()]
        self.entries = {entry.path: entry for entry in sorted(entries, key=lambda entry: entry.path)}

    def _read(self, entry: Entry) -> bytes:
        return self._files[entry.path]


class _Subfolder(Snapshot):
    """A folder of another snapshot as if it were the root."""

    def __init__(self, whole: Snapshot, prefix: str) -> None:
        self._whole, self._prefix = whole, prefix
        self.commit = whole.commit
        inside = {path.removeprefix(prefix): entry for path, entry in whole.entries.items() if path.startswith(prefix)}
        self.entries = {path: replace(entry, path=path) for path, entry in inside.items()}

    def _read(self, entry: Entry) -> bytes | None:
        return self._whole.read(self._prefix + entry.path)


def subfolder(whole: Snapshot, prefix: str) -> Snapshot:
    """`whole` seen from one of its folders. `prefix`: empty for all of it, else with a slash at its end."""
    return _Subfolder(whole, prefix) if prefix else whole


def _name(raw: bytes) -> tuple[str, bool]:
    try:
        return raw.decode(), True
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), False


def _listed(root: Path, limits: Limits) -> list[tuple[bytes, bool]]:
    """Names relative to `root`, each with whether it is a submodule."""
    environment = {**os.environ, **git_environment(os.environ.get("HOME", "/"))}
    # The user's own ignore file counts here, and a hook runs with variables that name another repository.
    others_repository = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "XDG_CONFIG_HOME", *others_repository):
        environment.pop(variable, None)
    if "XDG_CONFIG_HOME" in os.environ:
        environment["XDG_CONFIG_HOME"] = os.environ["XDG_CONFIG_HOME"]
    command = ["git", "-C", str(root), "-c", "core.fsmonitor=false", "ls-files", "-z"]
    try:
        staged = _output([*command, "--stage"], environment, limits)
        others = _output([*command, "--others", "--exclude-standard"], environment, limits)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return _walked(root, limits)
    names: dict[bytes, bool] = {}
    for record in filter(None, staged.split(b"\0")):
        about, _, name = record.partition(b"\t")
        names[name] = about.startswith(SUBMODULE.encode())
    for name in filter(None, others.split(b"\0")):
        names.setdefault(name.rstrip(b"/"), name.endswith(b"/"))  # a nested repository is listed with a slash
    return list(names.items())


def _output(command: list[str], environment: dict[str, str], limits: Limits) -> bytes:
    try:
        return subprocess.run(
            command,
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limits.seconds,
        ).stdout
    except subprocess.TimeoutExpired:
        raise LimitExceededError("seconds") from None


def _walked(root: Path, limits: Limits) -> list[tuple[bytes, bool]]:
    names: list[tuple[bytes, bool]] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        names += [(os.fsencode(os.path.relpath(Path(folder) / name, root)), False) for name in [*files, *links]]
        if len(names) > limits.files:
            raise LimitExceededError("files")
    return names


def _on_disk(root: Path, name: bytes, *, submodule: bool) -> Entry | None:
    """None for a tracked file that was deleted, and for what git does not commit."""
    path, readable = _name(name)
    if submodule:
        return Entry(path, SUBMODULE, None, readable_name=readable)
    try:
        status = os.lstat(os.path.join(os.fsencode(root), name))  # noqa: PTH118 - bytes, for names that are no text
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, SYMLINK, None, readable_name=readable)
    if not stat.S_ISREG(status.st_mode):
        return None
    mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else REGULAR
    return Entry(path, mode, status.st_size if readable else None, readable_name=readable)
