"""One commit is fetched into a bare repository in a temporary folder: shallow, without large files, bounded."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainyard.hosts.addresses import Destination, destination
from trainyard.hosts.contract import FetchAddress
from trainyard.model.errors import InvalidInput, UserError
from trainyard.model.text import Text
from trainyard.validation.object_database import (
    LimitExceededError,
    Limits,
    ObjectDatabase,
    UnreadableError,
    bounded,
    git_environment,
    is_out_of_memory,
)

MAX_FILE_BYTES = 204_800
"""The largest file that a project may hold."""
_FULL_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]{0,198}")
# What servers and git itself say where the commit or ref is not there; anything else may pass and is tried again.
_ABSENT = re.compile(
    r"couldn't find remote ref|not our ref|upload-pack: not our ref|no such remote ref|unadvertised object"
    r"|did not match any|invalid refspec|unknown ref",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"authentication failed|could not read username|could not read password|terminal prompts disabled"
    r"|repository .* not found|returned error: 40[134]|returned error: 30[1278]"
    r"|unable to update url base from redirection",
    re.IGNORECASE,
)
_DAMAGED = re.compile(
    r"fsck error|object corrupt|index-pack died|index-pack failed|invalid index-pack|bad object|pack is corrupted"
    r"|did not send all necessary objects|remote did not send",
    re.IGNORECASE,
)


class FetchRefused(UserError):
    """The commit cannot be had as things stand; the user can change that. `kind`: absent, refused, damaged or limit."""

    code = "fetch_refused"

    def __init__(self, kind: str, message: Text, fix: Text) -> None:
        super().__init__(message)
        self.kind = kind
        self.fix = fix


class RemoteUnavailableError(RuntimeError):
    """The git host could not be reached. The event is delivered again later."""


@contextmanager
def fetched(address: FetchAddress, revision: str, limits: Limits | None = None) -> Iterator[tuple[ObjectDatabase, str]]:
    """The object database with `revision` in it, and the full id of the commit that it means.

    `revision`: a full commit id, a branch or a tag; empty for the host's default branch. Blobs over MAX_FILE_BYTES are
    left out. Nothing is checked out, and the folder is gone afterwards.

    Raises:
        FetchRefused: there is no such commit, or no access, or it is more than `limits` allow.
        RemoteUnavailableError: the host did not answer.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="fetch-", ignore_cleanup_errors=True) as folder:
        git_dir = Path(folder) / "repository.git"
        _initialise(git_dir)
        _fetch(git_dir, address, _reference(revision), limits)
        with ObjectDatabase(git_dir, limits) as database:
            try:
                commit = database.commit("FETCH_HEAD")
            except UnreadableError:
                raise _absent(revision) from None
            yield database, commit


@contextmanager
def fetched_refs(address: FetchAddress, blob_limit: int, limits: Limits) -> Iterator[ObjectDatabase]:
    """The object database with every commit of every ref, and of their files those below `blob_limit` bytes.

    Raises:
        FetchRefused, RemoteUnavailableError: as `fetched`.
    """
    with tempfile.TemporaryDirectory(prefix="fetch-", ignore_cleanup_errors=True) as folder:
        git_dir = Path(folder) / "repository.git"
        _initialise(git_dir)
        _fetch(git_dir, address, "+refs/*:refs/fetched/*", limits, blobs=f"limit={blob_limit}", depth=())
        with ObjectDatabase(git_dir, limits) as database:
            yield database


def fetch_history(database: ObjectDatabase, address: FetchAddress, commit: str) -> bool:
    """Add the folders, without files, of one more commit to compare with. False where it is not to be had."""
    try:
        _fetch(database.git_dir, address, commit, database.limits, blobs="none")
        database.commit(commit)
    except (FetchRefused, RemoteUnavailableError, UnreadableError, LimitExceededError):
        return False
    return True


def _initialise(git_dir: Path) -> None:
    """A bare repository, written by hand: what `git init` would leave, without the process."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "info"):
        (git_dir / folder).mkdir(parents=True)
    (git_dir / "HEAD").write_text("ref: refs/heads/main\n")
    _write_configuration(git_dir)


def _write_configuration(git_dir: Path) -> None:
    # A fetch with a filter notes where to get the rest from. Writing this afresh afterwards removes the note, so that
    # no later read of a left-out blob goes to the network.
    (git_dir / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")


def _reference(revision: str) -> str:
    if revision == "":
        return "HEAD"
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise _absent(revision)
    return revision


def _fetch(
    git_dir: Path,
    address: FetchAddress,
    reference: str,
    limits: Limits,
    blobs: str = "",
    depth: tuple[str, ...] = ("--depth=1",),
) -> None:
    from git import Git

    command = [
        *("git", "fetch", "--quiet", *depth, "--no-tags", "--no-write-commit-graph", "--no-auto-maintenance"),
        *("--no-recurse-submodules", f"--filter=blob:{blobs or f'limit={MAX_FILE_BYTES + 1}'}"),
        *("--", address.url, reference),
    ]
    environment = _environment(git_dir, address, _destination(address))
    # The limit on the size of any one file that git writes is for the pack first of all: git has none itself.
    command = bounded(command, limits.memory_bytes, limits.pack_bytes)
    process: Any = Git(git_dir).execute(command, as_process=True, env=environment, start_new_session=True)
    message = _wait(process.proc, limits)
    _write_configuration(git_dir)
    if process.proc.returncode != 0:
        raise _failure(message, process.proc.returncode, reference, limits)


def _destination(address: FetchAddress) -> Destination:
    try:
        return destination(address.url)
    except InvalidInput as refused:
        raise FetchRefused(
            "refused",
            refused.message,
            Text(en="Register the repository again under a public address.", zh="请使用可公开访问的地址重新登记仓库。"),
        ) from None
    except OSError as error:
        raise RemoteUnavailableError(f"the git host's name: {type(error).__name__}") from error


def _environment(git_dir: Path, address: FetchAddress, checked: Destination) -> dict[str, str]:
    """Configuration by environment, so that credentials are in no argument, file or trace."""
    configuration = [
        *_resolved(checked),
        ("http.proxy", ""),
        ("http.followRedirects", "false"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "20"),
        ("credential.helper", ""),
        ("transfer.fsckObjects", "true"),
        # Old but harmless faults of commits that many real repositories have.
        ("fetch.fsck.zeroPaddedFilemode", "ignore"),
        ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
        ("fetch.fsck.badTimezone", "ignore"),
        ("fetch.unpackLimit", "1"),
        ("core.bigFileThreshold", "1m"),
        ("core.deltaBaseCacheLimit", "16m"),
        ("pack.threads", "2"),
        ("gc.auto", "0"),
        *(("http.extraHeader", f"{name}: {value}") for name, value in address.headers.items()),
    ]
    pairs = {"GIT_CONFIG_COUNT": str(len(configuration))}
    for index, (key, value) in enumerate(configuration):
        pairs |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    # Plain http only where the check let it pass.
    return git_environment(git_dir, GIT_DIR=str(git_dir), GIT_ALLOW_PROTOCOL=address.url.partition(":")[0], **pairs)


def _resolved(checked: Destination) -> list[tuple[str, str]]:
    """So that git asks no resolver but goes where the check said."""
    if checked.host in checked.addresses:
        return []  # an address itself
    addresses = ",".join(f"[{address}]" if ":" in address else address for address in checked.addresses)
    return [("http.curloptResolve", f"{checked.host}:{checked.port}:{addresses}")]


def _wait(process: subprocess.Popen[bytes], limits: Limits) -> str:
    """What git said on its standard error. The whole process group ends when the time is over."""
    try:
        _, message = process.communicate(timeout=limits.seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise _over_limit("seconds", limits) from None
    return message.decode(errors="replace")


def _failure(message: str, status: int, reference: str, limits: Limits) -> Exception:
    if "File size limit exceeded" in message or "signal 25" in message or "File too large" in message or status == -25:
        return _over_limit("pack_bytes", limits)
    if is_out_of_memory(message):
        return _over_limit("memory_bytes", limits)
    if _ABSENT.search(message):
        return _absent(reference)
    if _REFUSED.search(message):
        return FetchRefused(
            "refused",
            Text(
                en="The git host does not let us read this repository at its registered address.",
                zh="Git 平台拒绝读取该仓库（按登记的地址）。",
            ),
            Text(
                en="Check the registered clone address and the access token of the repository, then push again.",
                zh="请检查仓库登记的克隆地址和访问令牌，然后重新推送。",
            ),
        )
    if _DAMAGED.search(message):
        return FetchRefused(
            "damaged",
            Text(en="The repository holds damaged git objects.", zh="仓库中有损坏的 Git 对象。"),
            Text(
                en="Run `git fsck --strict`, repair what it reports and push again.",
                zh="请运行 `git fsck --strict`，修复报告的问题后重新推送。",
            ),
        )
    # git's own words may hold the address; they are of no use to anybody who does not run the platform.
    return RemoteUnavailableError(f"git fetch ended with status {status}")


def _absent(revision: str) -> FetchRefused:
    shown = revision[:80] if _REVISION.fullmatch(revision) else "?"
    return FetchRefused(
        "absent",
        Text(en=f"The repository has no commit {shown}.", zh=f"仓库中没有提交 {shown}。"),
        Text(
            en="Push the commit, or name a branch, tag or full commit id that exists.",
            zh="请先推送该提交，或填写存在的分支、标签或完整的提交 ID。",
        ),
    )


def _over_limit(limit: str, limits: Limits) -> FetchRefused:
    return FetchRefused("limit", *limit_text(limit, limits))


def limit_text(limit: str, limits: Limits) -> tuple[Text, Text]:
    """What to say about a limit that was passed, and what to do."""
    amount = {
        "pack_bytes": (f"{limits.pack_bytes >> 20} MB packed", f"压缩后 {limits.pack_bytes >> 20} MB"),
        "content_bytes": (f"{limits.content_bytes >> 20} MB", f"{limits.content_bytes >> 20} MB"),
        "files": (f"{limits.files} files", f"{limits.files} 个文件"),
        "depth": (f"{limits.depth} folders inside each other", f"{limits.depth} 层文件夹"),
        "path_bytes": (f"{limits.path_bytes} bytes in one path", f"单个路径 {limits.path_bytes} 字节"),
        "memory_bytes": (
            f"can be read in {limits.memory_bytes >> 20} MB of memory",
            f"{limits.memory_bytes >> 20} MB 内存可读取的内容",
        ),
        "seconds": (f"can be read in {limits.seconds:g} seconds", f"{limits.seconds:g} 秒内可读取的内容"),
    }[limit]
    return (
        Text(en=f"The commit holds more than {amount[0]}.", zh=f"该提交的内容超过了{amount[1]}。"),
        Text(
            en="Keep only the training code in a project; move data and checkpoints to dataset and model repositories.",
            zh="项目仓库只放训练代码；数据和权重请放入数据集仓库和模型仓库。",
        ),
    )
