"""One layer of a stranger's image becomes files, by a process that can reach nothing but those files.

Its root is the image's tree, in which links lead wherever they lead without leading out; it is nobody, may make no
sockets, and has an end in bytes and memory. https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import bz2  # noqa: F401 - tarfile wants both when it finds such an archive, when nothing can be imported any more
import json
import lzma  # noqa: F401
import os
import resource
import shutil
import stat
import sys
import tarfile
import zlib
from contextlib import suppress
from importlib.machinery import BuiltinImporter, FrozenImporter
from pathlib import Path
from typing import BinaryIO, NoReturn

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from trainyard.runner.jail import linux
from trainyard.runner.jail.filter import forbid_administration, forbid_network
from trainyard.runner.jail.plan import EXIT_NOT_ISOLATED, EXIT_NOT_UNPACKED

INTERPRETER = "python3"
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
# Files that the machine's own are laid over while a script runs.
_PLACES = (Path("/etc/hosts"), Path("/etc/resolv.conf"))
_ROOT = Path("/")
_ENTRY_BYTES = 512
_PIECE = 1 << 18
# How frames of zstd begin, and those that hold notes of whoever made them: https://www.rfc-editor.org/rfc/rfc8878
_ZSTD_MAGIC = (b"\x28\xb5\x2f\xfd", *(bytes([number]) + b"\x2a\x4d\x18" for number in range(0x50, 0x60)))
_MEMORY_BYTES = 2 << 30
_PROCESSOR_SECONDS = 1800


class HostileLayerError(Exception):
    """A layer that no builder of images makes."""


_UNREADABLE = (
    HostileLayerError, tarfile.TarError, zlib.error, zstd.ZstdError, OSError, EOFError, ValueError, ArithmeticError,
    RecursionError, MemoryError,
)  # fmt: skip


def main() -> NoReturn:
    """`TREE USER MOST_BYTES PATH`: unpack standard input over the folder TREE; JSON on standard output.

    `bytes`: how many it came to. `python`: where the image's interpreter is by now, looked up in PATH.
    """
    tree, user, most, path = sys.argv[-4:]
    try:
        _shut_in(tree, int(user))
    except OSError as error:
        print(error, file=sys.stderr)
        os._exit(EXIT_NOT_ISOLATED)
    try:
        written = unpack(sys.stdin.buffer, int(most))
        _make_places()
    except _UNREADABLE as error:
        print(f"{error or type(error).__name__}", file=sys.stderr)
        os._exit(EXIT_NOT_UNPACKED)
    # What lies behind an archive's end belongs to the layer's digest as well.
    while sys.stdin.buffer.read(_PIECE):
        pass
    print(json.dumps({"bytes": written, "python": shutil.which(INTERPRETER, path=path)}), flush=True)
    os._exit(0)


def _shut_in(tree: str, user: int) -> None:
    """`user`: whom the files will belong to, where we are root."""
    is_root = os.geteuid() == 0
    if not is_root:
        linux.own_user_namespace()
    os.chroot(tree)
    os.chdir("/")
    # From here on the folders of our library are the image's: nothing may be imported from them.
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter]
    if is_root:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    linux.clear_capabilities()
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    with suppress(OSError, KeyError):
        forbid_network()
        forbid_administration()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    # One process, which its parent ends.
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_SECONDS, _PROCESSOR_SECONDS))
    os.umask(0o022)


def unpack(source: BinaryIO, most_bytes: int) -> int:
    """Apply the layer to the root of this process; returns the bytes that its entries come to.

    Everything becomes readable for everybody: the script is another user than the one that an image is made for.
    Owners, set-user-id bits, devices and pipes are left out.
    """
    made: set[Path] = set()
    written = 0
    with _archive(source) as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # or it would remember each of a million
            path = _inside(member.name)
            written += max(member.size, 0) + _ENTRY_BYTES
            if written > most_bytes:
                raise HostileLayerError("it unpacks to more than the disk has for it")
            if path == _ROOT:
                continue
            if path.name == _OPAQUE:
                _empty(path.parent, made)
            elif path.name.startswith(_WHITEOUT):
                _remove(_inside(f"{path.parent}/{_hidden(path.name)}"))
            else:
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                _make(archive, member, path)
                made.add(path)
    return written


def _archive(source: BinaryIO) -> tarfile.TarFile:
    """Unfolded as it is read, however it was compressed. None of it is kept."""
    begun = _Begun(source)
    if begun.magic in _ZSTD_MAGIC:
        # Refuses a frame that wants more than 128 MiB of what was unfolded kept, to look back into.
        return tarfile.open(fileobj=zstd.ZstdFile(begun), mode="r|")  # type: ignore[call-overload, no-any-return]
    return tarfile.open(fileobj=begun, mode="r|*")  # type: ignore[call-overload, no-any-return]


class _Begun:
    """A stream whose first bytes were looked at."""

    def __init__(self, source: BinaryIO) -> None:
        self.magic = source.read(4)
        self._unread, self._source = self.magic, source

    def read(self, size: int = -1) -> bytes:
        unread, self._unread = self._unread, b""
        return unread + self._source.read(size - len(unread) if size >= len(unread) else size)


def _hidden(whiteout: str) -> str:
    """The name of what a whiteout takes away."""
    name = whiteout.removeprefix(_WHITEOUT)
    if name in ("", "."):
        raise HostileLayerError(f"{whiteout!r} takes nothing away")
    return name


def _inside(name: str) -> Path:
    """The path from the root. HostileLayerError for one that says that it leads out, though it could not."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise HostileLayerError(f"{name[:200]!r} leads out of the image")
    return Path(_ROOT, *parts)


def _make(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        if not _is_folder(path):
            _remove(path)
            path.mkdir(0o755)
    elif member.issym():
        _remove(path)
        path.symlink_to(member.linkname)
    elif member.islnk():
        known = _inside(member.linkname)
        if known != path:
            _remove(path)
            os.link(known, path, follow_symlinks=False)
    elif member.isreg():
        _remove(path)
        content = archive.extractfile(member)
        assert content is not None
        with path.open("xb") as file:
            shutil.copyfileobj(content, file, _PIECE)
        path.chmod(0o755 if member.mode & 0o111 else 0o644)
        # Python takes compiled code for that of its source only where this fits.
        os.utime(path, (int(member.mtime), int(member.mtime)))


def _empty(folder: Path, made: set[Path]) -> None:
    """Nothing of the layers below shows in this folder; what this layer brought stays."""
    if not _is_folder(folder):
        return
    kept = {way for one in made if one.is_relative_to(folder) for way in (one, *one.parents)}
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(parent, name)
            if path not in kept:
                _remove(path)


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _is_folder(path: Path) -> bool:
    with suppress(FileNotFoundError, NotADirectoryError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def _make_places() -> None:
    for path in _PLACES:
        path.parent.mkdir(exist_ok=True)
        if path.is_symlink() or not path.is_file():
            _remove(path)
            path.touch()
