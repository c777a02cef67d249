"""Inputs are pinned: every name in the spec becomes exact bytes in the bucket, or a finding that says what to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from trainyard.hosts.registry import host
from trainyard.model.errors import UserError
from trainyard.model.finding import Finding
from trainyard.model.repository import Repository, RepositoryKind
from trainyard.model.request import InputFile, PinnedInput, RunRequest
from trainyard.model.result import AttemptResult
from trainyard.model.run import Run, RunState
from trainyard.model.spec import LATEST_RUN, Input, RunSpec
from trainyard.model.text import Text
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError
from trainyard.store.secrets import host_token_name
from trainyard.store.storage import storage_report
from trainyard.validation.fetch import MAX_FILE_BYTES, FetchRefused, fetched, limit_text
from trainyard.validation.input_fault import MAX_FILES, SMALLER, InputFault
from trainyard.validation.lfs_pointer import read_pointer
from trainyard.validation.object_database import LimitExceededError, Limits, UnreadableError
from trainyard.validation.rules import rule
from trainyard.validation.s3_inputs import pin_s3
from trainyard.validation.snapshot import CommitSnapshot, Snapshot
from trainyard.validation.suggestion import nearest
from trainyard.validation.view import RunView

LIMITS = Limits(pack_bytes=512 << 20, content_bytes=1 << 30)
_LISTED_INSTEAD = 32
"""From so many objects on one listing costs less than asking for each."""
_AT_ONCE = 8
_PAGES, _RUNS_PER_PAGE = 10, 100
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Pinning:
    """Inputs as far as they could be pinned; the run may start only without findings of severity error."""

    inputs: list[PinnedInput]
    findings: list[Finding]


def pin_inputs(state: State, view: RunView, reader: str) -> Pinning:
    """Every input of the run, resolved to a commit and the list of its files. `reader`: the user whose run it is."""
    pinned: list[PinnedInput] = []
    findings: list[Finding] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = {path: pool.submit(_pin, state, path[-1], source, reader) for path, source in _sources(view.spec)}
        for path, outcome in outcomes.items():
            try:
                stage: Any = "evaluation" if path[0] == "evaluation" else "training"
                pinned.append(outcome.result().model_copy(update={"stage": stage}))
            except InputFault as fault:
                place = view.place(*path, fault.part)
                findings.append(rule(fault.rule_id).finding(place, fault.message, fault.fix))
    return Pinning(pinned, findings)


def _sources(spec: RunSpec) -> Iterator[tuple[tuple[str, ...], Input]]:
    """Every input with its place in the run's description."""
    for argument, source in spec.inputs.items():
        yield ("inputs", argument), source
    for argument, source in spec.evaluation.inputs.items():
        yield ("evaluation", "inputs", argument), source


def as_pinned_before(state: State, spec: RunSpec, former_run: str) -> RunSpec:
    """`spec` with the very revisions that a former run of the same description used: it is run again as it was."""
    try:
        former = RunRequest.model_validate_json(state.objects.get(layout.request_key(former_run)))
    except (ObjectMissingError, ValidationError):
        return spec
    before = former.spec
    inputs = _as_before(spec.inputs, before.inputs, former.inputs)
    of_evaluation = _as_before(spec.evaluation.inputs, before.evaluation.inputs, former.evaluation_inputs)
    evaluation = spec.evaluation.model_copy(update={"inputs": of_evaluation})
    return spec.model_copy(update={"inputs": inputs, "evaluation": evaluation})


def _as_before(sources: dict[str, Input], before: dict[str, Input], pinned: Iterable[PinnedInput]) -> dict[str, Input]:
    known = {one.argument: one for one in pinned}
    return {
        argument: _exactly(source, known[argument]) if argument in known and before.get(argument) == source else source
        for argument, source in sources.items()
    }


def _exactly(source: Input, pinned: PinnedInput) -> Input:
    if source.run is not None:
        # "run ID", or "run ID child N"; which child stands in the source itself.
        return source.model_copy(update={"run": pinned.source.split()[1]})
    return source.model_copy(update={"revision": pinned.revision})


def _pin(state: State, argument: str, source: Input, reader: str) -> PinnedInput:
    if source.run is not None:
        return _pin_run(state, argument, source.run, source, reader)
    if source.s3 is not None:
        return pin_s3(state.objects, argument, source)
    kind = RepositoryKind.DATASET if source.dataset is not None else RepositoryKind.MODEL
    name = source.dataset or source.model
    assert name is not None
    repository = _readable(state, name, kind, reader)
    return _pin_repository(state, argument, repository, source)


def _readable(state: State, name: str, kind: RepositoryKind, reader: str) -> Repository:
    repository = state.table.repository(name)
    kind_en, kind_zh = {"dataset": ("dataset", "数据集"), "model": ("model", "模型"), "project": ("project", "项目")}[
        kind
    ]
    if repository is None or not repository.may_read(reader):
        # The same words for both: whether a private repository exists is nobody else's business.
        raise InputFault(
            "input-missing",
            kind.value,
            Text(en=f"There is no {kind_en} {name} that you may read.", zh=f"没有您可读取的{kind_zh} {name}。"),
            Text(
                en="Check the name, register the repository, or ask its owner to make it public or to add you.",
                zh="请检查名称、登记该仓库，或请其所有者公开它或将您添加为成员。",
            ),
        )
    if repository.kind is not kind:
        raise InputFault(
            "input-missing",
            kind.value,
            Text(
                en=f"{name} is registered as a {repository.kind.value}, not as a {kind_en}.",
                zh=f"{name} 登记的类型是 {repository.kind.value}，不是{kind_zh}。",
            ),
            Text(en=f"Write `{repository.kind.value}: {name}`.", zh=f"请写成 `{repository.kind.value}: {name}`。")
            if repository.kind is not RepositoryKind.PROJECT
            else Text(en="Write `run: latest OWNER/PROJECT`.", zh="请写成 `run: latest 所有者/项目`。"),
        )
    return repository


def _pin_repository(state: State, argument: str, repository: Repository, source: Input) -> PinnedInput:
    revision = source.revision or repository.default_branch
    try:
        token = state.secrets.get(host_token_name(repository.full_name))
        address = host(repository.host).fetch_address(repository, token)
        with fetched(address, revision, LIMITS) as (database, commit):
            snapshot = CommitSnapshot(database, commit)
            paths, is_file = _chosen(snapshot.entries, source.path, repository.full_name)
            files = _contents(state, repository.full_name, snapshot, paths)
    except FetchRefused as refused:
        part = "revision" if refused.kind == "absent" else repository.kind.value
        raise InputFault("input-missing", part, _about(repository.full_name, refused.message), refused.fix) from None
    except UserError as error:
        fix = Text(en="Correct the registration of the repository.", zh="请更正该仓库的登记信息。")
        raise InputFault("input-missing", repository.kind.value, error.message, fix) from None
    except LimitExceededError as error:
        message, _ = limit_text(error.limit, LIMITS)
        raise InputFault("input-content", repository.kind.value, message, SMALLER) from None
    except UnreadableError:
        raise InputFault("input-content", repository.kind.value, _DAMAGED, _REPAIR) from None
    return PinnedInput(
        argument=argument,
        source=f"{repository.kind.value} {repository.full_name}",
        revision=commit,
        is_file=is_file,
        files=_relative(files, source.path, is_file=is_file),
    )


_DAMAGED = Text(en="The repository holds damaged git objects.", zh="仓库中有损坏的 Git 对象。")
_REPAIR = Text(en="Run `git fsck`, repair it and push again.", zh="请运行 `git fsck`，修复后重新推送。")


def _about(name: str, message: Text) -> Text:
    return Text(en=f"{name}: {message.en}", zh=f"{name}：{message.zh}")


def _chosen(names: Iterable[str], path: str, source: str) -> tuple[list[str], bool]:
    """The names under `path`, and whether it is one single file."""
    known = list(names)
    if path in known:
        return [path], True
    chosen = [name for name in known if not path or name.startswith(f"{path}/")]
    if len(chosen) > MAX_FILES:
        raise InputFault(
            "input-content",
            "path",
            Text(
                en=f"{source} holds more than {MAX_FILES} files there.",
                zh=f"{source} 在此处的文件超过 {MAX_FILES} 个。",
            ),
            SMALLER,
        )
    if chosen:
        return chosen, False
    meant = nearest(path, known)
    raise InputFault(
        "input-missing",
        "path",
        Text(en=f"{source} has nothing at `{path}`.", zh=f"{source} 中没有 `{path}`。")
        if path
        else Text(en=f"{source} holds no files.", zh=f"{source} 中没有文件。"),
        Text(en=f"Write `{meant}`.", zh=f"请改为 `{meant}`。")
        if meant
        else Text(en="Name a file or folder that is in it.", zh="请填写其中存在的文件或文件夹。"),
    )


@dataclass(frozen=True)
class _Content:
    file: InputFile
    data: bytes | None
    """None for a Git LFS object, which its owner uploaded."""


def _contents(state: State, repository: str, snapshot: Snapshot, paths: list[str]) -> list[InputFile]:
    """The files with their objects; small ones are uploaded, Git LFS objects must be there already."""
    contents = [_content(repository, snapshot, path) for path in paths]
    sizes = _stored_sizes(state, repository, [content.file.key for content in contents])
    for content in contents:
        if content.data is None and sizes.get(content.file.key) != content.file.size:
            raise InputFault(
                "input-content",
                "path",
                Text(
                    en=f"{repository}: the content of {content.file.path} was never uploaded.",
                    zh=f"{repository}：{content.file.path} 的内容尚未上传。",
                ),
                Text(
                    en="Run `git lfs push --all origin` in that repository, then submit again.",
                    zh="请在该仓库中运行 `git lfs push --all origin`，然后重新提交。",
                ),
            )
    missing = {
        content.file.key: content.data
        for content in contents
        if content.data is not None and sizes.get(content.file.key) != content.file.size
    }
    _in_parallel(lambda key: state.objects.put(key, missing[key]), missing)
    return [content.file for content in contents]


def _content(repository: str, snapshot: Snapshot, path: str) -> _Content:
    entry = snapshot.entries[path]
    data = snapshot.read(path)
    if data is None or len(data) > MAX_FILE_BYTES or not entry.is_file or not entry.readable_name:
        what_en = "is over 200 KB and not stored through Git LFS" if entry.is_file else "is a link or a submodule"
        what_zh = "超过 200 KB 且未使用 Git LFS" if entry.is_file else "是链接或子模块"
        raise InputFault(
            "input-content",
            "path",
            Text(en=f"{repository}: {path} {what_en}.", zh=f"{repository}：{path} {what_zh}。"),
            Text(
                en=f"Run `git lfs migrate import --include={path}` in that repository and push.",
                zh=f"请在该仓库中运行 `git lfs migrate import --include={path}` 并推送。",
            )
            if entry.is_file
            else Text(en="Commit the file itself.", zh="请提交文件本身。"),
        )
    pointer = read_pointer(data)
    digest, size = (pointer.sha256, pointer.size) if pointer else (hashlib.sha256(data).hexdigest(), len(data))
    key = layout.content_key(repository, digest)
    return _Content(InputFile(path=path, size=size, sha256=digest, key=key), None if pointer else data)


def _stored_sizes(state: State, repository: str, keys: list[str]) -> dict[str, int]:
    """Sizes of those objects that are in the bucket, and are not about to go because nothing referred to them."""
    wanted = set(keys)
    report = storage_report(state.objects, repository)
    listed = report.shown() & wanted if report is not None else frozenset()
    if listed or len(wanted) >= _LISTED_INSTEAD:
        stored = [entry for entry in state.objects.find(layout.content_prefix(repository)) if entry.key in wanted]
        going = {each.key for each in stored if report is not None and report.lists(each.key, each.modified)}
        return {entry.key: entry.size for entry in stored if entry.key not in going}
    found = _in_parallel(state.objects.size, wanted)
    return {key: size for key, size in found.items() if size is not None}


def _in_parallel(work: Callable[[str], Outcome], keys: Iterable[str]) -> dict[str, Outcome]:
    keys = list(keys)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(keys, pool.map(work, keys), strict=True))


def _relative(files: list[InputFile], path: str, *, is_file: bool) -> list[InputFile]:
    if is_file:
        return [file.model_copy(update={"path": file.path.rpartition("/")[2]}) for file in files]
    start = f"{path}/" if path else ""
    return [file.model_copy(update={"path": file.path.removeprefix(start)}) for file in files]


def _pin_run(state: State, argument: str, reference: str, source: Input, reader: str) -> PinnedInput:
    run = _former_run(state, reference, reader)
    place, name = _whose_output(run, source.child)
    result = _last_result(state, run, place)
    if result is None:
        raise InputFault(
            "input-missing",
            "run" if source.child is None else "child",
            Text(en=f"The run {name} left no output.", zh=f"训练 {name} 没有留下输出。"),
            Text(en="Name a run that ended with output.", zh="请填写已结束且有输出的训练。"),
        )
    outputs = {output.path: output for output in result.outputs}
    paths, is_file = _chosen(outputs, source.path, name)
    files = [
        InputFile(path=one, size=outputs[one].size, sha256=outputs[one].sha256, key=layout.output_prefix(place) + one)
        for one in paths
    ]
    return PinnedInput(
        argument=argument,
        source=f"run {name}",
        revision=run.commit,
        is_file=is_file,
        files=_relative(files, source.path, is_file=is_file),
    )


def _whose_output(run: Run, child: int | None) -> tuple[str, str]:
    """In place of the run's id in keys, and in words."""
    count = run.spec.trainings if run.spec is not None and run.spec.is_sweep else 0
    if child is None and not count:
        return run.id, run.id
    if child is not None and child < count:
        return layout.child_id(run.id, child), f"{run.id} child {child}"
    if not count:
        raise InputFault(
            "input-missing",
            "child",
            Text(
                en=f"The run {run.id} is no sweep and has no children.", zh=f"训练 {run.id} 不是超参搜索，没有 child。"
            ),
            Text(en="Remove `child`.", zh="请删除 `child`。"),
        )
    raise InputFault(
        "input-missing",
        "run" if child is None else "child",
        Text(
            en=f"The run {run.id} is a sweep of {count} trainings.",
            zh=f"训练 {run.id} 是包含 {count} 次训练的超参搜索。",
        ),
        Text(
            en=f"Say which one's output it is: `child:` from 0 to {count - 1}.",
            zh=f"请用 `child:` 指明使用哪一次训练的输出（0 到 {count - 1}）。",
        ),
    )


def _last_result(state: State, run: Run, place: str) -> AttemptResult | None:
    """Of the last attempt; each training of a sweep has attempts of its own. None where there is none."""
    tries = run.spec.retries + 1 if run.spec is not None else 1
    for attempt in [run.attempt] if place == run.id else range(tries, 0, -1):
        try:
            return AttemptResult.model_validate(json.loads(state.objects.get(layout.result_key(place, attempt))))
        except ObjectMissingError:
            continue
        except ValueError:
            return None
    return None


def _former_run(state: State, reference: str, reader: str) -> Run:
    latest = LATEST_RUN.fullmatch(reference)
    if latest is None:
        run = state.table.run(reference)
    else:
        _readable(state, latest["project"], RepositoryKind.PROJECT, reader)
        run = _newest_success(state, latest["project"], latest["name"])
    if run is None or run.deleted_at is not None:
        raise _no_run(reference)
    repository = state.table.repository(run.project)
    if repository is None or not repository.may_read(reader):
        raise _no_run(reference)
    if not run.state.is_final:
        raise InputFault(
            "input-missing",
            "run",
            Text(en=f"The run {run.id} has not ended yet.", zh=f"训练 {run.id} 尚未结束。"),
            Text(en="Submit this one when it has ended.", zh="请在其结束后再提交。"),
        )
    return run


def _newest_success(state: State, project: str, name: str | None) -> Run | None:
    """Among the project's last thousand runs."""
    cursor = None
    for _ in range(_PAGES):
        page = state.table.runs_of(project, limit=_RUNS_PER_PAGE, cursor=cursor)
        for run in page.rows:
            if run.state is RunState.SUCCEEDED and run.evaluates is None and name in (None, run.name):
                return run
        cursor = page.cursor
        if cursor is None:
            break
    return None


def _no_run(reference: str) -> InputFault:
    return InputFault(
        "input-missing",
        "run",
        Text(en=f"There is no run `{reference[:80]}` that you may use.", zh=f"没有您可使用的训练 `{reference[:80]}`。"),
        Text(
            en="Write the id of a run that ended, or `latest OWNER/PROJECT` for the newest that succeeded.",
            zh="请填写已结束训练的 ID，或用 `latest 所有者/项目` 表示最近一次成功的训练。",
        ),
    )
