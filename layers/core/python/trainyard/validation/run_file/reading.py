"""`trainyard.yaml` (or .yml, .json) of a commit becomes run specs, or findings with the line to mend."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from trainyard.model.spec import RunFile, RunSpec
from trainyard.model.text import Text
from trainyard.validation.document import Document, DocumentError, Path, read_document
from trainyard.validation.run_file.keys import meant_key
from trainyard.validation.run_file.problems import Problem, problems_of
from trainyard.validation.snapshot import Snapshot
from trainyard.validation.view import Place

NAMES = ("trainyard.yaml", "trainyard.yml", "trainyard.json")


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
    meant = meant_key(key, location) if unknown else None
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
