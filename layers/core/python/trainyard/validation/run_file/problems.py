"""What pydantic finds wrong in a run file, at the place where it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from trainyard.model.text import Text
from trainyard.validation.document import Document, Path
from trainyard.validation.run_file.keys import known_keys, meant_key
from trainyard.validation.run_file.wording import words
from trainyard.validation.view import Place


@dataclass(frozen=True)
class Problem:
    """A fault of the file. `rule` is the id of the rule that documents it."""

    rule: str
    place: Place
    message: Text
    fix: Text


def problems_of(error: ValidationError, path: str, document: Document | None, prefix: Path = ()) -> list[Problem]:
    """pydantic's errors in our words. `prefix`: where in the document the validated value lies."""
    faults = [dict(fault) for fault in error.errors(include_url=False)]
    problems = [_problem(fault, path, document, prefix) for fault in faults if not _of_another_branch(fault)]
    # Of a value that could be of several kinds pydantic complains once for each of them.
    return list(dict.fromkeys(problems))


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
    message, fix = words(fault, str(shown)[:200], location, of_key=of_key)
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
    meant = meant_key(key, location)
    listed = ", ".join(known_keys(location))
    if meant:
        fix = Text(en=f"Write `{meant}`.", zh=f"请改为 `{meant}`。")
    else:
        fix = Text(en=f"Remove it, or use one of: {listed}.", zh=f"请删除它，或使用以下之一：{listed}。")
    return Problem(
        "run-file-key", place, Text(en=f"There is no key `{key}` here.", zh=f"此处没有名为 `{key}` 的键。"), fix
    )
