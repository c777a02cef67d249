"""What of a repository's stored files nothing refers to: no branch or tag through Git LFS, no run that still exists.

Nothing is guessed: where the refs cannot be read whole, nothing counts as unreferenced. Removing is safe against a push
that happens meanwhile: `model/storage.py` says how long each side waits, Git LFS has whoever pushes a listed object
store it again, and only the very version of an object that was looked at is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache

from trainyard.hosts.registry import host
from trainyard.model.errors import UserError
from trainyard.model.repository import Repository, RepositoryKind
from trainyard.model.request import RunRequest
from trainyard.model.storage import (
    MAX_LISTED,
    RECENT,
    LeftRun,
    StorageReport,
    StorageTask,
    StoredFile,
    UnfinishedUpload,
)
from trainyard.model.text import Text
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError, StoredObject, Upload
from trainyard.store.secrets import host_token_name
from trainyard.store.storage import storage_report
from trainyard.validation.fetch import fetched_refs
from trainyard.validation.lfs_pointer import MAX_BYTES, read_pointer
from trainyard.validation.object_database import LimitExceededError, Limits, UnreadableError

LIMITS = Limits(pack_bytes=512 << 20, seconds=120)
_AT_ONCE = 8
_WHY = Text(
    en="No commit of any branch or tag refers to it through Git LFS, and no run that still exists uses it.",
    zh="没有任何分支或标签的提交通过 Git LFS 引用它，也没有现存的训练使用它。",
)
_UNREADABLE = Text(
    en="The repository's branches and tags could not be read whole, so nothing is called unreferenced. {}",
    zh="无法完整读取该仓库的分支和标签，因此不判断哪些文件未被引用。{}",
)


def carry_out(state: State, task_id: str, now: datetime | None = None) -> StorageReport | None:
    """Inspect, remove what was asked for and is still unreferenced, and store the report. A second time is harmless.

    Raises:
        RemoteUnavailableError: the git host did not answer; deliver the event again.
    """
    task = state.table.storage_task(task_id)
    if task is None:
        return None
    repository = state.table.repository(task.repository)
    report = _carried_out(state, task, repository, now) if repository is not None else None
    state.table.mark_answered(task, datetime.now(UTC))
    return report


def _carried_out(state: State, task: StorageTask, repository: Repository, now: datetime | None) -> StorageReport:
    before = storage_report(state.objects, repository.full_name)
    if before is not None and before.at > task.requested_at:
        return before
    report = inspect(state, repository, now)
    if task.remove and not report.failed:
        report = _remove(state, task, before, report)
    key = layout.storage_report_key(repository.full_name)
    state.objects.put(key, report.model_dump_json().encode(), "application/json")
    return report


def inspect(state: State, repository: Repository, now: datetime | None = None) -> StorageReport:
    """What is stored, and what of it is unreferenced."""
    name, at = repository.full_name, now or datetime.now(UTC)
    # Before the refs and the runs: what is stored from now on is younger than the report.
    stored = list(state.objects.find(layout.content_prefix(name)))
    unfinished, under_way = _unfinished_uploads(state, repository, at)
    report = StorageReport(
        repository=name,
        at=at,
        files=len(stored),
        bytes=sum(each.size for each in stored),
        recent=0,
        reason=_WHY,
        deleted_runs=list(_left_by_deleted_runs(state, repository)),
        unfinished_uploads=unfinished[:MAX_LISTED],
        complete=len(unfinished) <= MAX_LISTED,
        uploads_under_way=under_way,
    )
    try:
        used = _referenced(state, repository) | _used_by_runs(state, name)
    except UserError as error:
        reason = Text(en=_UNREADABLE.en.format(error.message.en), zh=_UNREADABLE.zh.format(error.message.zh))
        return report.model_copy(update={"failed": True, "reason": reason})
    except (LimitExceededError, UnreadableError):
        reason = Text(en=_UNREADABLE.en.format("").strip(), zh=_UNREADABLE.zh.format(""))
        return report.model_copy(update={"failed": True, "reason": reason})
    unused = [each for each in stored if each.key not in used]
    old = [each for each in unused if at - each.modified > RECENT]
    listed = [StoredFile(key=each.key, size=each.size, modified=each.modified) for each in old[:MAX_LISTED]]
    return report.model_copy(
        update={
            "recent": len(unused) - len(old),
            "unreferenced": listed,
            "unreferenced_bytes": sum(each.size for each in listed),
            "complete": report.complete and len(listed) == len(old),
        }
    )


def _left_by_deleted_runs(state: State, repository: Repository) -> Iterator[LeftRun]:
    """Deleting a run hides it and then removes its files; what broke off in between is left."""
    if repository.kind is not RepositoryKind.PROJECT:
        return
    cursor = None
    while True:
        page = state.table.deleted_runs_of(repository.full_name, 200, cursor)
        for run in page.rows:
            sizes = [entry.size for entry in state.objects.find(layout.run_prefix(run.id))]
            if sizes:
                yield LeftRun(run=run.id, files=len(sizes), bytes=sum(sizes))
        cursor = page.cursor
        if cursor is None:
            return


def _unfinished_uploads(state: State, repository: Repository, at: datetime) -> tuple[list[UnfinishedUpload], int]:
    """Uploads in parts that nobody is about to finish any more, and how many others there are."""
    known = list(_uploads_of(state, repository))
    old = [upload for upload, is_over in known if is_over and at - upload.begun > RECENT]

    def measure(upload: Upload) -> UnfinishedUpload | None:
        arrived = state.objects.arrived(upload.key, upload.id)
        if arrived is None:  # finished meanwhile
            return None
        touched = arrived.last or upload.begun
        return UnfinishedUpload(
            upload=upload.id, key=upload.key, size=arrived.size, begun=upload.begun, touched=touched
        )

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        measured = [each for each in pool.map(measure, old) if each is not None]
    untouched = [each for each in measured if at - each.touched > RECENT]
    return untouched, len(known) - len(old) + len(measured) - len(untouched)


def _uploads_of(state: State, repository: Repository) -> Iterator[tuple[Upload, bool]]:
    """The repository's own and those of its runs; each with whether what began it is over, as far as that is known."""
    name = repository.full_name
    yield from ((upload, True) for upload in state.objects.uploads(layout.content_prefix(name)))
    if repository.kind is not RepositoryKind.PROJECT:
        return
    find_run = cache(state.table.run)
    for upload in state.objects.uploads(layout.RUNS):
        run = find_run(layout.run_of(upload.key))
        if run is not None and run.project == name:
            yield upload, run.state.is_final


def _referenced(state: State, repository: Repository) -> set[str]:
    """Keys of the objects that Git LFS pointers name, in any commit of any ref."""
    token = state.secrets.get(host_token_name(repository.full_name))
    address = host(repository.host).fetch_address(repository, token)
    keys = set()
    with fetched_refs(address, MAX_BYTES, LIMITS) as database:
        for oid in database.small_blobs(MAX_BYTES):
            pointer = read_pointer(database.read(oid))
            if pointer is not None:
                keys.add(layout.content_key(repository.full_name, pointer.sha256))
    return keys


def _used_by_runs(state: State, name: str) -> set[str]:
    """Keys that runs are pinned to, finished or not; a deleted run has no request any more."""
    prefix = layout.pinned_prefix(name)
    runs = [entry.key.removeprefix(prefix) for entry in state.objects.find(prefix)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return {key for keys in pool.map(lambda run: list(_pinned(state, run)), runs) for key in keys}


def _pinned(state: State, run_id: str) -> Iterator[str]:
    try:
        request = RunRequest.model_validate_json(state.objects.get(layout.request_key(run_id)))
    except ObjectMissingError:
        return
    yield from (file.key for pinned in request.inputs for file in pinned.files)


def _remove(state: State, task: StorageTask, before: StorageReport | None, report: StorageReport) -> StorageReport:
    """Delete what was asked for, was listed then, and is listed now."""
    if before is None:
        return report
    wanted = frozenset(task.remove) & before.shown()
    going = [each for each in report.unreferenced if each.key in wanted and each.modified <= before.at]

    def delete(each: StoredFile) -> bool:
        return state.objects.delete_version(StoredObject(each.key, each.size, each.modified))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        done = list(pool.map(delete, going))
    removed = {each.key: each.size for each, gone in zip(going, done, strict=True) if gone}
    left = [each for each in report.unreferenced if each.key not in removed]
    size = sum(removed.values())
    return report.model_copy(
        update={
            "files": report.files - len(removed),
            "bytes": report.bytes - size,
            "unreferenced": left,
            "unreferenced_bytes": sum(each.size for each in left),
            "removed": sorted(removed),
            "removed_bytes": size,
        }
    )
