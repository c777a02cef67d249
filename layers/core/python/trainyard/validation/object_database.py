"""A git object database, read through git itself and never checked out. Every read is bounded."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

SYMLINK = "120000"
SUBMODULE = "160000"
_CHUNK = 1 << 16
_OUT_OF_MEMORY = re.compile(
    r"out of memory|cannot allocate memory|malloc failed|realloc failed|mmap failed|cannot be mapped"
    r"|unable to create thread|cannot create thread",
    re.IGNORECASE,
)
_MESSAGE_BYTES = 1 << 16
_ABOUT = "%(objecttype) %(objectsize) %(objectname)"


@dataclass(frozen=True)
class Limits:
    """How much of a repository is looked at. The defaults leave room for any real training project."""

    pack_bytes: int = 256 << 20
    """What the server may send."""
    content_bytes: int = 512 << 20
    """All files together, unpacked."""
    files: int = 50_000
    depth: int = 40
    """Folders inside each other."""
    path_bytes: int = 1024
    seconds: float = 60.0
    """For one git command."""
    memory_bytes: int = 768 << 20
    """The address space of each git process; 0 for no limit, where the repository is the user's own."""


@dataclass(frozen=True)
class TreeEntry:
    """A file, link or submodule of a commit."""

    path: bytes
    mode: str
    """Six octal digits, as git writes them."""
    oid: str


class LimitExceededError(Exception):
    """The repository holds more than is looked at. `limit` is the name of a field of `Limits`."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class UnreadableError(Exception):
    """git cannot read it: no such commit, or a damaged object."""


def bounded(command: Sequence[str], memory_bytes: int, file_bytes: int = 0) -> list[str]:
    """The command under limits that the kernel holds, for every process that it starts, too; 0 for none.

    A shell sets them, before the command begins. git's own settings are no bound: whatever they say, it holds a
    commit, a folder or a tag in one piece, and a few packed megabytes may unfold to gigabytes. Where the system knows
    no such limit (macOS: of memory) the command runs without it.
    """
    limits = [f"ulimit -v {memory_bytes >> 10} 2>/dev/null"] if memory_bytes else []
    limits += [f"ulimit -f {file_bytes // 512}"] if file_bytes else []
    return ["sh", "-c", "; ".join([*limits, 'exec "$@"']), "sh", *command] if limits else list(command)


def is_out_of_memory(message: str) -> bool:
    """Whether git's or the system's words on the standard error say so."""
    return _OUT_OF_MEMORY.search(message) is not None


def git_environment(home: Path | str, **more: str) -> dict[str, str]:
    """What git is told: nothing of the machine's configuration, no prompts, no helper, no network unless in `more`."""
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "LC_ALL": "C",
        **more,
    }


class ObjectDatabase(AbstractContextManager["ObjectDatabase"]):
    """Reads commits, trees and blobs under `git_dir`. Closing it ends the git process that serves `read`."""

    def __init__(self, git_dir: Path, limits: Limits | None = None) -> None:
        self.git_dir = git_dir
        self.limits = limits or Limits()
        path = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        self._environment = {**path, **git_environment(git_dir)}
        self._reader: subprocess.Popen[bytes] | None = None

    def commit(self, revision: str) -> str:
        """The full id of the commit that `revision` means; an annotated tag is followed. UnreadableError if none."""
        found = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return found.decode().strip()

    def tree_id(self, commit: str) -> str:
        return self._run("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").decode().strip()

    def entries(self, commit: str) -> Iterator[TreeEntry]:
        """Everything in the commit but folders.

        Raises:
            LimitExceededError: too many files, too deep or too long a path. A few small tree objects can describe
                billions of paths, so the listing is read as it comes and cut off.
            UnreadableError: it is no commit, or an object is damaged.
        """
        with tempfile.TemporaryFile() as said:
            process = self._start("ls-tree", "-r", "-z", "--full-tree", commit, errors=said)
            try:
                assert process.stdout is not None
                for count, record in enumerate(_records(process.stdout), 1):
                    if count > self.limits.files:
                        raise LimitExceededError("files")
                    yield self._entry(record)
                if process.wait(self.limits.seconds) != 0:
                    raise _failure(said, commit)
            finally:
                _end(process)

    def sizes(self, oids: Sequence[str]) -> dict[str, int]:
        """Bytes of those blobs that are here; the ones that the fetch left out as too large are absent."""
        asked = "".join(f"{oid}\n" for oid in oids).encode()
        answer = self._run("cat-file", "--batch-check=%(objectname) %(objectsize)", given=asked)
        sizes = {}
        for line in answer.decode().splitlines():
            oid, _, size = line.partition(" ")
            if size.isdigit():
                sizes[oid] = int(size)
        return sizes

    def small_blobs(self, limit: int) -> Iterator[str]:
        """Every blob that is here and smaller than `limit` bytes, whatever refers to it. UnreadableError if damaged."""
        process = self._start(
            "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectsize) %(objectname)"
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                kind, size, oid = line.decode().split()
                if kind == "blob" and int(size) < limit:
                    yield oid
            if process.wait(self.limits.seconds) != 0:
                raise UnreadableError("cat-file")
        finally:
            _end(process)

    def read(self, oid: str) -> bytes:
        """The blob. UnreadableError if it is not here. Callers ask only for blobs whose size they know."""
        if self._reader is None:
            self._reader = self._start("cat-file", "--batch", reads_input=True)
        stdin, stdout = self._reader.stdin, self._reader.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{oid}\n".encode())
        stdin.flush()
        header = stdout.readline().split()
        if len(header) != 3:
            raise UnreadableError(oid)
        content = stdout.read(int(header[2]))
        stdout.read(1)
        return content

    def changed_paths(self, before: str, after: str) -> list[str]:
        """Paths that differ between two commits, at most `limits.files`; names that are not UTF-8 are mangled."""
        process = self._start("diff-tree", "-r", "-z", "--no-renames", "--name-only", before, after)
        try:
            assert process.stdout is not None
            paths = []
            for record in _records(process.stdout):
                paths.append(record.decode(errors="replace"))
                if len(paths) >= self.limits.files:
                    break
            return paths
        finally:
            _end(process)

    def archive(self, commit: str, target: Path) -> None:
        """Write the commit's files, byte for byte, to `target` as .tar.gz. The same commit gives the same archive."""
        attributes = self.git_dir / "info" / "attributes"
        attributes.parent.mkdir(exist_ok=True)
        # These win over the repository's own, which could leave files out or rewrite them.
        attributes.write_text("* -export-ignore -export-subst -text -ident -filter -working-tree-encoding -eol\n")
        self._run("-c", "tar.umask=0022", "archive", "--format=tar.gz", "-3", f"--output={target}", commit)

    def close(self) -> None:
        if self._reader is not None:
            _end(self._reader)
            self._reader = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def _entry(self, record: bytes) -> TreeEntry:
        about, _, path = record.partition(b"\t")
        mode, _, oid = about.decode().split()
        if len(path) > self.limits.path_bytes:
            raise LimitExceededError("path_bytes")
        if path.count(b"/") > self.limits.depth:
            raise LimitExceededError("depth")
        return TreeEntry(path, mode, oid)

    def _run(self, *arguments: str, given: bytes | None = None) -> bytes:
        with tempfile.TemporaryFile() as said:
            process = self._start(*arguments, reads_input=given is not None, errors=said)
            try:
                output, _ = process.communicate(given, timeout=self.limits.seconds)
            except subprocess.TimeoutExpired:
                raise LimitExceededError("seconds") from None
            finally:
                _end(process)
            if process.returncode != 0:
                raise _failure(said, arguments[0])
        return output

    def _start(
        self, *arguments: str, reads_input: bool = False, errors: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        command = ["git", f"--git-dir={self.git_dir}", "--no-replace-objects", "-c", "core.fsmonitor=false", *arguments]
        return subprocess.Popen(
            bounded(command, self.limits.memory_bytes),
            stdin=subprocess.PIPE if reads_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if errors is None else errors,
            env=self._environment,
        )


def _failure(said: IO[bytes], what: str) -> Exception:
    """`said`: the standard error of a git process that has ended."""
    said.seek(0)
    if is_out_of_memory(said.read(_MESSAGE_BYTES).decode(errors="replace")):
        return LimitExceededError("memory_bytes")
    return UnreadableError(what)


def _records(stream: IO[bytes]) -> Iterator[bytes]:
    """Records that end in a null byte. A record without an end is cut off at a length that no path has."""
    rest = b""
    while chunk := stream.read1(_CHUNK) if hasattr(stream, "read1") else stream.read(_CHUNK):
        *records, rest = (rest + chunk).split(b"\0")
        yield from records
        if len(rest) > 1 << 20:
            raise LimitExceededError("path_bytes")


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                continue
    if process.poll() is None:
        process.kill()
    process.wait()
