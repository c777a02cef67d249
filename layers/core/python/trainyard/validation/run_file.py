"""`trainyard.yaml` (or .yml, .json) of a commit becomes run specs, or findings with the line to mend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from trainyard.model.spec import EvaluationSpec, Input, PushTrigger, RunFile, RunSpec, Triggers
from trainyard.model.text import Text
from trainyard.validation.document import Document, DocumentError, Path, read_document
from trainyard.validation.snapshot import Snapshot
from trainyard.validation.suggestion import nearest
from trainyard.validation.view import Place

NAMES = ("trainyard.yaml", "trainyard.yml", "trainyard.json")


@dataclass(frozen=True)
class Problem:
    """A fault of the file. `rule` is the id of the rule that documents it."""

    rule: str
    place: Place
    message: Text
    fix: Text


@dataclass(frozen=True)
class ReadRunFile:
    """The file as it was understood. `runs` is empty where there are problems."""

    path: str
    runs: dict[str, RunSpec] = field(default_factory=dict)
    document: Document | None = None
    problems: tuple[Problem, ...] = ()
    partial: dict[str, RunSpec] = field(default_factory=dict)
    """Where there are problems: the runs as they were probably meant, to look for what else is wrong."""


def read_run_file(snapshot: Snapshot) -> ReadRunFile:
    """The runs of the commit. Every fault of the file is told at once, as far as it can be read."""
    present = [name for name in NAMES if name in snapshot.entries]
    if not present:
        return ReadRunFile(NAMES[0], problems=(_missing(snapshot),))
    path = present[0]
    data = snapshot.read(path)
    if data is None:
        return ReadRunFile(path, problems=(_unreadable(path),))
    try:
        document = read_document(data)
    except DocumentError as error:
        place = Place(path, error.position.line, error.position.column)
        return ReadRunFile(path, problems=(Problem("run-file-syntax", place, error.message, error.fix),))
    return _understand(path, document)


def problems_of(error: ValidationError, path: str, document: Document | None, prefix: Path = ()) -> list[Problem]:
    """pydantic's errors in our words. `prefix`: where in the document the validated value lies."""
    faults = [dict(fault) for fault in error.errors(include_url=False)]
    problems = [_problem(fault, path, document, prefix) for fault in faults if not _of_another_branch(fault)]
    # Of a value that could be of several kinds pydantic complains once for each of them.
    return list(dict.fromkeys(problems))


def _understand(path: str, document: Document) -> ReadRunFile:
    value = document.value
    if isinstance(value, dict):
        # Keys that start with x- are the place for what anchors share.
        value = {key: part for key, part in value.items() if not key.startswith("x-")}
    if value is None or value == {}:
        value = {"runs": None}
    _write_out_triggers(value)
    try:
        runs = RunFile.model_validate(value).runs
    except ValidationError as error:
        return ReadRunFile(path, {}, document, tuple(problems_of(error, path, document)), _as_meant(value, error))
    return ReadRunFile(path, runs, document)


def _as_meant(value: Any, error: ValidationError) -> dict[str, RunSpec]:
    """The runs that can be understood once misspelt keys are put right and other faulty parts are left out."""
    mended = deepcopy(value)
    for fault in error.errors(include_url=False):
        _mend(mended, fault["loc"], unknown=fault["type"] == "extra_forbidden")
    runs = mended.get("runs") if isinstance(mended, dict) else None
    meant: dict[str, RunSpec] = {}
    for name, run in runs.items() if isinstance(runs, dict) else ():
        try:
            meant |= RunFile.model_validate({"runs": {name: run}}).runs
        except ValidationError:
            continue  # something that it needs is missing
    return meant


def _mend(value: Any, location: Path, *, unknown: bool) -> None:
    """Take the part at `location` out of its run, or give it the name that was probably meant."""
    parents: list[tuple[dict[str, Any], str]] = []
    for part in location:
        if not isinstance(value, dict) or part not in value:
            break
        parents.append((value, str(part)))
        value = value[str(part)]
    found = len(parents) == len(location) or (not unknown and not isinstance(value, dict))
    if len(parents) < 3 or not found:
        return  # a run as a whole, something missing, or mended already
    parent, key = parents[-1]
    meant = _meant_key(key, location) if unknown else None
    part = parent.pop(key)
    if meant is not None and meant not in parent:
        parent[meant] = part


def _write_out_triggers(value: Any) -> None:
    """`on: push`, `on: [push]` and `on: {push: }` mean any push, as everybody who knows other services expects."""
    runs = value.get("runs") if isinstance(value, dict) else None
    for run in runs.values() if isinstance(runs, dict) else ():
        if isinstance(run, dict) and run.get("on") in ("push", ["push"], {"push": None}):
            run["on"] = {"push": {}}


def _missing(snapshot: Snapshot) -> Problem:
    elsewhere = [name for name in snapshot.entries if name.rpartition("/")[2].lower() in (*NAMES, *_NEAR_NAMES)]
    if elsewhere:
        return Problem(
            "run-file-missing",
            Place(elsewhere[0]),
            Text(
                en="trainyard.yaml is not in the root of the repository.",
                zh="trainyard.yaml 不在仓库根目录，或文件名不对。",
            ),
            Text(
                en=f"Move {elsewhere[0]} to trainyard.yaml in the root.",
                zh=f"请将 {elsewhere[0]} 移动为根目录下的 trainyard.yaml。",
            ),
        )
    return Problem(
        "run-file-missing",
        Place(NAMES[0]),
        Text(
            en="There is no trainyard.yaml in the root of the repository, so nothing says what to train.",
            zh="仓库根目录没有 trainyard.yaml，无法得知要训练什么。",
        ),
        Text(
            en="Add one: runs: {NAME: {boot_file: train.py, framework: mindspore-cpu, flavor: cpu}}.",
            zh="请添加该文件，例如：runs: {名称: {boot_file: train.py, framework: mindspore-cpu, flavor: cpu}}。",
        ),
    )


_NEAR_NAMES = {"train-yard.yaml", "train-yard.yml", "trainyard.yaml.txt", ".trainyard.yaml", ".trainyard.yml"}


def _unreadable(path: str) -> Problem:
    return Problem(
        "run-file-syntax",
        Place(path),
        Text(en="The file is too large, or a link.", zh="文件过大，或是一个链接。"),
        Text(en="Put a plain text file there.", zh="请改为普通文本文件。"),
    )


_MODELS: dict[str, type[BaseModel]] = {"on": Triggers, "push": PushTrigger, "evaluation": EvaluationSpec}
# Words that people write for ours.
_SYNONYMS = {
    "entry": "boot_file",
    "entrypoint": "boot_file",
    "script": "boot_file",
    "main": "boot_file",
    "container": "image",
    "docker": "image",
    "instance": "flavor",
    "machine": "flavor",
    "compute": "flavor",
    "params": "hyperparameters",
    "parameters": "hyperparameters",
    "hyper_parameters": "hyperparameters",
    "args": "hyperparameters",
    "environment": "env",
    "desc": "description",
    "enable_output": "output",
    "enable_aim": "aim",
    "datasets": "inputs",
    "models": "inputs",
    "data": "inputs",
    "repo": "dataset",
    "trigger": "on",
    "triggers": "on",
    "branch": "branches",
    "tag": "tags",
    "max_runtime": "timeout",
    "retry": "retries",
}


def _known_keys(path: Path) -> list[str]:
    """The keys that may be written where the last part of `path` is."""
    match path[:-1]:
        case ():
            return list(RunFile.model_fields)
        case ("runs", _):
            return list(RunSpec.model_fields)
        case ("runs", _, "inputs", _):
            return list(Input.model_fields)
        case (*_, last) if last in _MODELS:
            return list(_MODELS[str(last)].model_fields)
    return []


def _problem(fault: dict[str, Any], file: str, document: Document | None, prefix: Path) -> Problem:
    location: Path = (*prefix, *(part for part in fault["loc"] if part != "[key]"))
    of_key = fault["loc"][-1:] == ("[key]",) or fault["type"] == "extra_forbidden"
    location = _without_branches(location, document)
    # What is missing was written nowhere; the name of what it is missing from was.
    written, of_key = (location[:-1], True) if fault["type"] == "missing" else (location, of_key)
    position = document.position(written, of_key=of_key) if document else None
    place = Place(file, position.line, position.column) if position else Place(file)
    shown = ".".join(str(part) for part in location) or file
    if fault["type"] == "extra_forbidden":
        return _unknown_key(place, location)
    message, fix = _words(fault, str(shown)[:200], location, of_key=of_key)
    return Problem("run-file-value", place, message, fix)


_SCALARS = ("str", "bool", "int", "float")


def _of_another_branch(fault: dict[str, Any]) -> bool:
    """That a list is no text, or a text no list: where a hyperparameter may be either, the other complaint counts."""
    if "hyperparameters" not in fault["loc"]:
        return False
    last = str(fault["loc"][-1])
    is_list = isinstance(fault.get("input"), list)
    return (is_list and last in _SCALARS) or (not is_list and last.startswith("list[") and fault["type"] == "list_type")


def _without_branches(location: Path, document: Document | None) -> Path:
    """Without what pydantic adds for the members of a union, such as `int` behind a hyperparameter's name."""
    if document is None:
        return location
    location = tuple(part for part in location if not (isinstance(part, str) and part.startswith("list[")))
    while location and location not in document.values and location[-1] in _SCALARS:
        location = location[:-1]
    return location


def _unknown_key(place: Place, location: Path) -> Problem:
    key = str(location[-1])[:60]
    meant = _meant_key(key, location)
    listed = ", ".join(_known_keys(location))
    if meant:
        fix = Text(en=f"Write `{meant}`.", zh=f"请改为 `{meant}`。")
    else:
        fix = Text(en=f"Remove it, or use one of: {listed}.", zh=f"请删除它，或使用以下之一：{listed}。")
    return Problem(
        "run-file-key", place, Text(en=f"There is no key `{key}` here.", zh=f"此处没有名为 `{key}` 的键。"), fix
    )


def _meant_key(key: str, location: Path) -> str | None:
    known = _known_keys(location)
    synonym = _SYNONYMS.get(key.lower())
    return synonym if synonym in known else nearest(key, known)


_TYPE_NAMES = {
    "string_type": ("text", "文本"),
    "bool_type": ("true or false", "true 或 false"),
    "bool_parsing": ("true or false", "true 或 false"),
    "int_type": ("a whole number", "整数"),
    "int_parsing": ("a whole number", "整数"),
    "int_from_float": ("a whole number", "整数"),
    "float_type": ("a number", "数字"),
    "float_parsing": ("a number", "数字"),
    "list_type": ("a list, such as [main]", "列表，例如 [main]"),
    "dict_type": ("a mapping of `name: value`", "`名称: 值` 形式的映射"),
    "model_type": ("a mapping of `name: value`", "`名称: 值` 形式的映射"),
    "model_attributes_type": ("a mapping of `name: value`", "`名称: 值` 形式的映射"),
    "time_delta_type": ("a duration, such as 90s, 30m, 2h or 1d", "时长，例如 90s、30m、2h 或 1d"),
    "time_delta_parsing": ("a duration, such as 90s, 30m, 2h or 1d", "时长，例如 90s、30m、2h 或 1d"),
    "finite_number": ("a number that is finite", "有限的数字"),
}


def _words(  # noqa: PLR0911 - one return for each kind
    fault: dict[str, Any], shown: str, location: Path, *, of_key: bool
) -> tuple[Text, Text]:
    """What is wrong and what to write, for one of pydantic's error types."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return (
            Text(en=f"`{shown}` is missing.", zh=f"缺少 `{shown}`。"),
            _how_to_give(str(location[-1]) if location else ""),
        )
    if kind in _TYPE_NAMES and "hyperparameters" in location[:-1]:
        return (
            Text(en=f"`{shown}` is no value of an argument.", zh=f"`{shown}` 不能作为参数的值。"),
            Text(
                en="Write text, a number, true or false, or a list of these.",
                zh="请填写文本、数字、true 或 false，或由它们组成的列表。",
            ),
        )
    if kind in _TYPE_NAMES:
        # Values of the environment may be passwords, which are not repeated.
        return _wrong_type(kind, None if "env" in location else fault.get("input"), shown)
    if kind == "value_error":
        return _own_words(str(context.get("error", "")), shown)
    if kind == "string_pattern_mismatch":
        return _wrong_pattern(str(context.get("pattern", "")), shown, of_key=of_key)
    if kind in ("string_too_long", "string_too_short", "too_long", "too_short"):
        return _wrong_length(kind, context, shown)
    if kind in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        bound = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}[kind]
        sign = {"ge": ">=", "le": "<=", "gt": ">", "lt": "<"}[bound]
        limit = f"{sign} {context.get(bound)}"
        return (
            Text(en=f"`{shown}` must be {limit}.", zh=f"`{shown}` 必须 {limit}。"),
            Text(en=f"Write a number {limit}.", zh=f"请填写 {limit} 的数字。"),
        )
    return (
        Text(en=f"`{shown}` has a value that does not fit here.", zh=f"`{shown}` 的值不适用于此处。"),
        Text(en="See what is allowed here in the documentation.", zh="请查看文档中此处允许的写法。"),
    )


_EXAMPLES = {
    "runs": "runs: {lenet5: {boot_file: train.py, framework: mindspore-cpu, flavor: cpu}}",
    "boot_file": "boot_file: train.py",
    "framework": "framework: mindspore-cpu",
    "flavor": "flavor: cpu",
}


def _how_to_give(name: str) -> Text:
    example = _EXAMPLES.get(name)
    if example is None:
        return Text(en="Add it.", zh="请添加。")
    return Text(en=f"Add it, such as `{example}`.", zh=f"请添加，例如 `{example}`。")


def _wrong_type(kind: str, given: Any, shown: str) -> tuple[Text, Text]:
    name_en, name_zh = _TYPE_NAMES[kind]
    message = Text(en=f"`{shown}` must be {name_en}.", zh=f"`{shown}` 必须是{name_zh}。")
    if kind == "string_type" and isinstance(given, bool | int | float):
        written = str(given).lower() if isinstance(given, bool) else str(given)[:40]
        return message, Text(en=f'Put it in quotes: "{written}".', zh=f'请加引号："{written}"。')
    if kind == "list_type" and isinstance(given, str):
        return message, Text(en=f"Put it in brackets: [{given[:40]}].", zh=f"请放入方括号：[{given[:40]}]。")
    example = _EXAMPLES.get(shown)
    if kind == "string_type":
        return message, Text(en="Put it in quotes.", zh="请加引号。")
    if given is None and example:
        return message, Text(en=f"Write `{example}`.", zh=f"请写成 `{example}`。")
    return message, Text(en=f"Write {name_en}.", zh=f"请写成{name_zh}。")


def _wrong_length(kind: str, context: dict[str, Any], shown: str) -> tuple[Text, Text]:
    unit_en, unit_zh = ("characters", "个字符") if kind.startswith("string") else ("entries", "项")
    if kind.endswith("long"):
        most = context.get("max_length")
        return (
            Text(en=f"`{shown}` is longer than {most} {unit_en}.", zh=f"`{shown}` 超过 {most} {unit_zh}。"),
            Text(en=f"Keep it to {most} {unit_en}.", zh=f"请限制在 {most} {unit_zh}以内。"),
        )
    least = context.get("min_length")
    return (
        Text(en=f"`{shown}` is empty.", zh=f"`{shown}` 为空。"),
        Text(en=f"Write at least {least} {unit_en}.", zh=f"请至少填写 {least} {unit_zh}。"),
    )


def _wrong_pattern(pattern: str, shown: str, *, of_key: bool) -> tuple[Text, Text]:
    if of_key:
        name = shown.rpartition(".")[2]
        return (
            Text(en=f"`{name}` cannot be the name of a run.", zh=f"`{name}` 不能作为训练名称。"),
            Text(
                en="Use 1 to 50 letters, digits, dashes and underscores.",
                zh="请使用 1 到 50 个字母、数字、连字符或下划线。",
            ),
        )
    if "/" in pattern:
        return (
            Text(en=f"`{shown}` must be the name of a repository.", zh=f"`{shown}` 必须是仓库名称。"),
            Text(en="Write OWNER/NAME, such as demo/digits.", zh="请写成 所有者/名称，例如 demo/digits。"),
        )
    return (
        Text(en=f"`{shown}` is not spelled as it must be.", zh=f"`{shown}` 的写法不正确。"),
        Text(en=f"It must match {pattern}.", zh=f"必须符合 {pattern}。"),
    )


# The model's own refusals. It speaks English only, for programs; here they get their Chinese and what to do.
_OWN: list[tuple[str, str, str, str, str]] = [
    (
        r"write a duration as .*",
        "`{shown}` is no duration.",
        "`{shown}` 不是时长。",
        "Write 90s, 30m, 2h or 1d.",
        "请写成 90s、30m、2h 或 1d。",
    ),
    (
        r"that duration is too long",
        "`{shown}` is too long.",
        "`{shown}` 过长。",
        "Write 14d or less.",
        "请填写不超过 14d 的时长。",
    ),
    (
        r"choose from (\S+) to (\S+)",
        "`{shown}` must be from {0} to {1}.",
        "`{shown}` 必须在 {0} 到 {1} 之间。",
        "Write a duration from {0} to {1}.",
        "请填写 {0} 到 {1} 之间的时长。",
    ),
    (
        r"name exactly one of dataset, model, run and s3",
        "`{shown}` must name exactly one source.",
        "`{shown}` 必须且只能指定一个来源。",
        "Write one of `dataset: OWNER/NAME`, `model: OWNER/NAME`, `run: ID` and `s3: s3://BUCKET/PREFIX`.",
        "请在 `dataset: 所有者/名称`、`model: 所有者/名称`、`run: ID`、`s3: s3://桶/前缀` 中写一个。",
    ),
    (
        r"name either a framework or an image",
        "A run stands on either a `framework` or an `image` of your own.",
        "训练必须且只能指定 `framework` 或自定义镜像 `image` 之一。",
        "Write one of them, such as `framework: mindspore-cpu`.",
        "请只填写其中一个，例如 `framework: mindspore-cpu`。",
    ),
    (
        r"(?:write an image with its registry.*|write an image with a tag or a digest)",
        "`{shown}` is not the full name of an image.",
        "`{shown}` 不是完整的镜像名称。",
        "Write REGISTRY/NAME:TAG, such as `docker.io/library/python:3.12`, or REGISTRY/NAME@sha256:DIGEST.",
        "请填写 仓库地址/名称:标签，例如 `docker.io/library/python:3.12`，或 仓库地址/名称@sha256:摘要。",
    ),
    (
        r"write an image's digest as .*",
        "The digest in `{shown}` is none.",
        "`{shown}` 中的摘要无效。",
        "Write `@sha256:` and 64 hexadecimal digits in small letters.",
        "请写成 `@sha256:` 加 64 位小写十六进制数字。",
    ),
    (
        r"an image's (?:repository|tag) is .*",
        "`{shown}` cannot be the name of an image.",
        "`{shown}` 不能作为镜像名称。",
        "Use small letters, digits and `.`, `_`, `-` between slashes, and at most 128 characters in the tag.",
        "请使用小写字母、数字以及 `.`、`_`、`-`，以斜杠分段；标签最多 128 个字符。",
    ),
    (
        r"the name of an image has at most (\d+) characters",
        "`{shown}` is longer than {0} characters.",
        "`{shown}` 超过 {0} 个字符。",
        "Use a shorter name.",
        "请使用更短的名称。",
    ),
    (
        r"write a run's id or `latest OWNER/PROJECT`",
        "`{shown}` names no run.",
        "`{shown}` 不是有效的训练。",
        "Write a run's id, or `latest OWNER/PROJECT` or `latest OWNER/PROJECT NAME` for the newest that succeeded.",
        "请填写训练 ID，或用 `latest 所有者/项目`、`latest 所有者/项目 名称` 表示最近一次成功的训练。",
    ),
    (
        r"write s3://BUCKET/PREFIX",
        "`{shown}` is no address of S3 objects.",
        "`{shown}` 不是 S3 地址。",
        "Write s3://BUCKET/PREFIX, such as s3://our-data/digits.",
        "请写成 s3://桶/前缀，例如 s3://our-data/digits。",
    ),
    (
        r"a child is a training of a sweep.*",
        "`child` is a training of a sweep, and no `run` is named.",
        "`child` 表示超参搜索中的一次训练，但没有填写 `run`。",
        "Write `run: RUN_ID` beside it, or remove `child`.",
        "请同时写上 `run: 训练ID`，或删除 `child`。",
    ),
    (
        r"a run's output has no revision.*",
        "The output of a run has no revision.",
        "训练输出没有版本（revision）。",
        "Leave `revision` out.",
        "请去掉 `revision`。",
    ),
    (
        r"the (?:boot file|script) must be a \.py file",
        "`{shown}` is not a Python file.",
        "`{shown}` 不是 Python 文件。",
        "Name a .py file, relative to code_dir.",
        "请填写相对于 code_dir 的 .py 文件。",
    ),
    (
        r"write a path relative to the repository.*",
        "`{shown}` is not a path in the repository.",
        "`{shown}` 不是仓库内的路径。",
        "Write it without a leading slash and with forward slashes, such as train/trainDir.",
        "请去掉开头的斜杠并使用正斜杠，例如 train/trainDir。",
    ),
    (
        r"a path may not contain `\.\.`",
        "`{shown}` leaves its folder.",
        "`{shown}` 超出了所在文件夹。",
        "Write a path without `..`.",
        "请去掉路径中的 `..`。",
    ),
    (
        r"at most (\d+) environment variables",
        "There are more than {0} environment variables.",
        "环境变量超过 {0} 个。",
        "Keep at most {0}.",
        "请保留不超过 {0} 个。",
    ),
    (
        r"('.*'|\".*\") is not a name of an environment variable",
        "{0} cannot be the name of an environment variable.",
        "{0} 不能作为环境变量名。",
        "Use letters, digits and underscores, not starting with a digit.",
        "请使用字母、数字和下划线，且不以数字开头。",
    ),
    (
        r"(\S+) is reserved for the platform.*",
        "The environment variable {0} is reserved for the platform.",
        "环境变量 {0} 由平台保留。",
        "Choose another name.",
        "请换一个名称。",
    ),
    (
        r"the value of (\S+) is longer than.*",
        "The value of {0} is longer than 4096 characters or holds a null byte.",
        "{0} 的值超过 4096 个字符，或包含空字节。",
        "Put it into a file of the repository and read it there.",
        "请写入仓库中的文件，再由脚本读取。",
    ),
    (
        r"('.*'|\".*\") cannot be the name of an argument",
        "{0} cannot be the name of an argument.",
        "{0} 不能作为参数名。",
        "Use letters, digits, dashes and underscores, starting with a letter: `data_url` becomes `--data_url`.",
        "请使用字母、数字、连字符和下划线，并以字母开头：`data_url` 会变成 `--data_url`。",
    ),
    (
        r"output_path is set by the platform.*",
        "`output_path` is set by the platform.",
        "`output_path` 由平台设置。",
        "Remove it and write `output: true`.",
        "请删除它，并写 `output: true`。",
    ),
    (
        r"aim_repo is set by the platform.*",
        "`aim_repo` is set by the platform.",
        "`aim_repo` 由平台设置。",
        "Remove it and write `aim: true`.",
        "请删除它，并写 `aim: true`。",
    ),
    (
        r"model_url is set by the platform.*",
        "`model_url` is set by the platform: the outputs of the evaluated run.",
        "`model_url` 由平台设置：即被评估训练的输出。",
        "Use another name.",
        "请换一个名称。",
    ),
    (
        r"inputs and hyperparameters are the script's.*",
        "`inputs` and `hyperparameters` of the evaluation are for its script, and there is none.",
        "评估的 `inputs` 和 `hyperparameters` 用于评估脚本，但没有指定脚本。",
        "Add `script: evaluate.py`, or remove them.",
        "请添加 `script: evaluate.py`，或删除它们。",
    ),
    (
        r"an evaluation script needs what the run leaves.*",
        "The evaluation script would have nothing to judge: the run keeps no output.",
        "该训练不保存输出，评估脚本没有可评估的内容。",
        "Write `output: true`.",
        "请写 `output: true`。",
    ),
    (
        r"(\S+) is both an input and a hyperparameter",
        "`{0}` is both an input and a hyperparameter.",
        "`{0}` 同时出现在 inputs 和 hyperparameters 中。",
        "Keep one of the two.",
        "请只保留其中一个。",
    ),
    (
        r"hyperparameters hold more than (\d+) bytes.*",
        "The hyperparameters hold more than {0} bytes.",
        "hyperparameters 超过 {0} 字节。",
        "Put them into a file of the repository and read it there.",
        "请写入仓库中的文件，再由脚本读取。",
    ),
    (
        r"a hyperparameter holds a null byte.*",
        "A hyperparameter holds a null byte, which no argument can.",
        "有超参包含空字节，不能作为参数传递。",
        "Remove it.",
        "请删除它。",
    ),
    (
        r"a revision has no control characters.*",
        "`{shown}` holds control characters.",
        "`{shown}` 包含控制字符。",
        "Write a branch, a tag or a commit.",
        "请填写分支、标签或提交。",
    ),
    (
        r"(\S+) lists a value twice",
        "`{0}` lists a value twice: the same training would be paid for twice.",
        "`{0}` 的列表中有重复的值，同样的训练会计费两次。",
        "Remove one of them; to repeat a training, list a `seed`.",
        "请删除重复的值；如需重复训练，请列出 `seed`。",
    ),
    (
        r"the lists make (\d+) combinations; a sweep has at most (\d+)",
        "The lists make {0} combinations; a sweep has at most {1}.",
        "列表共有 {0} 种组合，一次搜索最多 {1} 种。",
        "Shorten some of the lists.",
        "请缩短部分列表。",
    ),
    (
        r"a sweep has no evaluation script.*",
        "An evaluation script judges one training, and this run is a sweep of several.",
        "评估脚本只评估一个训练，而此训练是超参搜索。",
        "Remove the script; `require` judges the best training.",
        "请删除脚本；`require` 会评判最佳训练。",
    ),
    (
        r"a sweep cannot change its machines.*",
        "A sweep cannot change from spot to on-demand machines.",
        "超参搜索不能从竞价机器切换到按需机器。",
        "Write `machines: spot` or `machines: on_demand`.",
        "请写 `machines: spot` 或 `machines: on_demand`。",
    ),
    (
        r"several nodes train one combination.*",
        "A sweep has one machine for each of its trainings, and this run asks for several `nodes`.",
        "超参搜索的每个训练只用一台机器，而此训练要求多个 `nodes`。",
        "Remove `nodes`, or give each hyperparameter one value.",
        "请删除 `nodes`，或为每个超参只填一个值。",
    ),
    (
        r"several nodes are on-demand machines.*",
        "AWS Batch lets several machines train together on on-demand machines alone.",
        "AWS Batch 的多机训练只支持按需机器。",
        "Write `machines: on_demand`, or remove `nodes`.",
        "请写 `machines: on_demand`，或删除 `nodes`。",
    ),
    (
        r"at most (\d+) hyperparameters and (\d+) inputs",
        "There are more than {0} hyperparameters or {1} inputs.",
        "hyperparameters 超过 {0} 个，或 inputs 超过 {1} 个。",
        "Put the rest into a file of the repository and read it there.",
        "其余部分请写入仓库中的文件，再由脚本读取。",
    ),
]


def _own_words(said: str, shown: str) -> tuple[Text, Text]:
    for pattern, message_en, message_zh, fix_en, fix_zh in _OWN:
        found = re.fullmatch(pattern, said)
        if found:
            parts = [part[:80] for part in found.groups()]
            texts = [text.format(*parts, shown=shown) for text in (message_en, message_zh, fix_en, fix_zh)]
            return Text(en=texts[0], zh=texts[1]), Text(en=texts[2], zh=texts[3])
    return (
        Text(en=f"`{shown}`: {said[:200]}.", zh=f"`{shown}` 的值无效：{said[:200]}。"),
        Text(en="Change it as the message says.", zh="请按提示修改。"),
    )


def own_words_known() -> Iterator[str]:
    """The patterns above, for the test that keeps them in step with the model."""
    yield from (pattern for pattern, *_ in _OWN)
