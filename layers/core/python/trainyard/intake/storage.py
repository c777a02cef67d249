"""An owner looks at what a repository stores, and has removed what nothing refers to."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from trainyard.intake.permissions import owned_repository
from trainyard.model.errors import Conflict, InvalidInput
from trainyard.model.repository import AccessToken, Repository
from trainyard.model.storage import GRACE, RemoveUnreferenced, StorageReport, StorageTask, UnfinishedUpload
from trainyard.model.text import Text
from trainyard.store import State, layout
from trainyard.store.storage import storage_report

_AT_ONCE = 8
_LOOK_FIRST = Text(
    en="That is not the last report of this repository. Ask for an inspection, read its report, and send its `at`.",
    zh="这不是该仓库最新的报告。请先发起检查，阅读报告后再提交其中的 `at`。",
)


def last_report(state: State, full_name: str, token: AccessToken | None) -> StorageReport | None:
    """The errors of `owned_repository`: names of files in private commits are the owner's."""
    return storage_report(state.objects, owned_repository(state.table, full_name, token).full_name)


def ask_for_inspection(
    state: State, full_name: str, token: AccessToken | None, now: datetime | None = None
) -> StorageTask:
    """Have somebody with git look; the report follows. The errors of `owned_repository`."""
    return _ask(state, owned_repository(state.table, full_name, token), token, [], now)


def ask_for_removal(
    state: State, full_name: str, token: AccessToken | None, wanted: RemoveUnreferenced, now: datetime | None = None
) -> StorageTask:
    """Have removed what the last report showed, as far as it is unreferenced still.

    Raises:
        Unauthenticated, NotFound, Forbidden: see `owned_repository`.
        Conflict: the report is not the last one, or so young that a push which began before it may be under way.
        InvalidInput: something that the report does not show, or nothing at all.
    """
    repository = owned_repository(state.table, full_name, token)
    at = now or datetime.now(UTC)
    report = storage_report(state.objects, full_name)
    if report is None or report.at != wanted.report:
        raise Conflict(_LOOK_FIRST, code="not_the_last_report")
    _require_shown(wanted, report)
    if wanted.keys and at - report.at < GRACE:
        until = (report.at + GRACE).isoformat(timespec="minutes")
        raise Conflict(
            Text(
                en=f"A push that began before the report may still be under way. Repeat this after {until}.",
                zh=f"报告生成之前开始的推送可能仍在进行。请在 {until} 之后重试。",
            ),
            code="report_too_young",
            details={"after": until},
        )
    for run_id in wanted.runs:
        # A deleted run is deleted for good: no push and no run can come to need its files again.
        state.objects.delete_prefix(layout.run_prefix(run_id))
    _give_up(state, [each for each in report.unfinished_uploads if each.upload in wanted.uploads])
    return _ask(state, repository, token, wanted.keys, at)


def _give_up(state: State, uploads: list[UnfinishedUpload]) -> None:
    """Abort those that have had no part since the report. A part that comes later meets an upload that is no more."""
    from concurrent.futures import ThreadPoolExecutor

    def one(known: UnfinishedUpload) -> None:
        arrived = state.objects.arrived(known.key, known.upload)
        if arrived is not None and (arrived.last is None or arrived.last <= known.touched):
            state.objects.give_up(known.key, known.upload)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, uploads))


def _require_shown(wanted: RemoveUnreferenced, report: StorageReport) -> None:
    unknown = sorted(set(wanted.keys) - report.shown())
    unknown += sorted(set(wanted.runs) - {each.run for each in report.deleted_runs})
    unknown += sorted(set(wanted.uploads) - {each.upload for each in report.unfinished_uploads})
    if unknown or not (wanted.keys or wanted.runs or wanted.uploads):
        shown = unknown[0][:200] if unknown else ""
        raise InvalidInput(
            Text(en=f"The report shows no {shown} that could go.", zh=f"报告中没有可以删除的 {shown}。")
            if unknown
            else Text(
                en="Name what is to go, in `keys`, `runs` or `uploads`.",
                zh="请在 keys、runs 或 uploads 中填写要删除的内容。",
            ),
            details={"unknown": unknown[:100]},
        )


def _ask(
    state: State, repository: Repository, token: AccessToken | None, keys: list[str], now: datetime | None
) -> StorageTask:
    assert token is not None
    task = StorageTask(
        id=secrets.token_hex(16),
        repository=repository.full_name,
        requested_by=token.user,
        requested_at=now or datetime.now(UTC),
        remove=keys,
    )
    state.table.create_storage_task(task)
    return task
