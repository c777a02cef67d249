"""`pip-requirements.txt` line by line, as pip reads it. https://pip.pypa.io/en/stable/reference/requirements-file-format/"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

MAX_LINES = 2000
MAX_LINE_LENGTH = 2000
"""No requirement is longer, hashes aside. The parser of markers is recursive, so the depth must have an end."""
_COMMENT = re.compile(r"(^|\s)#.*$")
_PER_REQUIREMENT_OPTION = re.compile(r"\s--[a-z-]+[= ].*$")
_WHEEL = re.compile(r"([A-Za-z0-9._]+)-([0-9][^-/]*)(?:-\d[^-/]*)?-([^-/]+)-([^-/]+)-([^-/]+)\.whl")
# Mirrors of the index hold what it holds; PyTorch's own index has but PyTorch, in other builds of the same versions.
_OTHER_INDEX = re.compile(
    r"(?i)(-f|--find-links|(-i|--index-url|--extra-index-url)(?!.*(pypi|simple|download\.pytorch\.org)))[ =]?"
)
_LOCAL_OPTIONS = ("-r", "-c", "-e", "--requirement", "--constraint", "--editable")


@dataclass(frozen=True)
class RequirementLine:
    """One line that asks for something."""

    line: int
    text: str
    requirement: Requirement | None = None
    """None where it is an option, a bare address, or does not parse."""
    name: str = ""
    """Normalised; also of a wheel's address. Empty where it is not known."""
    fault: str = ""
    """Why it does not parse, in English, as `packaging` says it."""
    wheel: str = ""
    """The file's name, where the line gives the address of a wheel."""
    is_option: bool = False
    is_local: bool = False
    """It points to a file or folder instead of a package."""

    def pins(self, version: str) -> bool:
        """Whether that version may be chosen."""
        return self.requirement is None or self.requirement.specifier.contains(version, prereleases=True)


@dataclass(frozen=True)
class RequirementsFile:
    path: str
    lines: tuple[RequirementLine, ...]

    def of(self, *names: str) -> RequirementLine | None:
        """The first line for one of the (normalised) names."""
        return next((line for line in self.lines if line.name in names), None)

    @property
    def names_other_index(self) -> bool:
        """Whether packages may come from elsewhere than the package index and its mirrors."""
        return any(line.is_option and _OTHER_INDEX.match(line.text) for line in self.lines)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(line.name for line in self.lines if line.name)


def read_requirements(path: str, text: str) -> RequirementsFile:
    lines: list[RequirementLine] = []
    parts: list[str] = []
    start = 1
    for number, raw in enumerate(text.splitlines()[:MAX_LINES], 1):
        if not parts:
            start = number
        if raw.endswith("\\"):
            parts.append(raw[:-1])
            continue
        bare = _COMMENT.sub("", " ".join([*parts, raw])).strip()
        parts = []
        if bare:
            lines.append(_read_line(start, bare))
    if parts and (bare := _COMMENT.sub("", " ".join(parts)).strip()):
        lines.append(_read_line(start, bare))
    return RequirementsFile(path, tuple(lines))


def _read_line(number: int, bare: str) -> RequirementLine:  # noqa: PLR0911 - one return for each kind of line
    if bare.startswith("-"):
        local = bare.startswith(_LOCAL_OPTIONS)
        return RequirementLine(number, bare, is_option=True, is_local=local)
    if bare.startswith((".", "/", "file:")):
        return RequirementLine(number, bare, is_local=True)
    if re.match(r"(https?|git\+[a-z]+)://", bare):
        wheel = _WHEEL.search(bare)
        return RequirementLine(number, bare, name=canonicalize_name(wheel[1]) if wheel else "", wheel=_wheel_name(bare))
    asked = _PER_REQUIREMENT_OPTION.sub("", bare)
    if len(asked) > MAX_LINE_LENGTH:
        return RequirementLine(number, bare, fault=f"it is longer than {MAX_LINE_LENGTH} characters")
    try:
        requirement = Requirement(asked)
    except InvalidRequirement as error:
        return RequirementLine(number, bare, fault=str(error).splitlines()[0])
    except RecursionError:
        return RequirementLine(number, bare, fault="its marker is nested too deeply")
    local = bool(requirement.url and requirement.url.startswith((".", "/", "file:")))
    return RequirementLine(
        number,
        bare,
        requirement,
        canonicalize_name(requirement.name),
        wheel=_wheel_name(requirement.url or ""),
        is_local=local,
    )


def _wheel_name(address: str) -> str:
    found = _WHEEL.search(address)
    return found[0] if found else ""
